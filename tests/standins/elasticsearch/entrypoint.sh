# As the public image does it: a variable with a dot in its name is a setting.
set -euo pipefail
settings=()
while IFS='=' read -r -d '' name value; do
    [[ $name == *.* ]] && settings+=("-E$name=$value")
done <"/proc/$$/environ"
ES_JAVA_HOME=$(dirname "$(dirname "$(readlink -f "$(command -v java)")")")
export ES_JAVA_HOME
exec /usr/share/elasticsearch/bin/elasticsearch -Enetwork.host=0.0.0.0 "${settings[@]}"
