# As apache/kafka does it: KAFKA_SOME_NAME becomes some.name in server.properties, the storage is formatted once.
set -euo pipefail
properties=/tmp/server.properties
while IFS='=' read -r -d '' name value; do
    case $name in
    KAFKA_HEAP_OPTS) ;;
    KAFKA_*)
        key=${name#KAFKA_}
        key=${key//_/.}
        echo "${key,,}=$value"
        ;;
    esac
done <"/proc/$$/environ" >"$properties"
run=(java -Djava.awt.headless=true -Dlog4j2.configurationFile=/opt/kafka/log4j2.properties -cp '/opt/kafka/libs/*')
"${run[@]}" kafka.tools.StorageTool format --ignore-formatted -t 5L6g3nShT-eMCtK--X86sw -c "$properties"
# shellcheck disable=SC2086
exec "${run[@]}" ${KAFKA_HEAP_OPTS:-} -XX:+UseG1GC kafka.Kafka "$properties"
