# MariaDB behind what mysql:8.0's entrypoint does for a new volume: root's password, then /docker-entrypoint-initdb.d.
set -euo pipefail
data=/var/lib/mysql
run=/run/mysqld
mkdir -p "$run" && chown mysql: "$run" "$data"
server=(/usr/sbin/mariadbd --no-defaults --user=mysql "--datadir=$data" "--socket=$run/sock" "--pid-file=$run/pid")
client=(mariadb --no-defaults "--socket=$run/sock" --user=root)
if [ ! -d "$data/mysql" ]; then
    mariadb-install-db --no-defaults --user=mysql "--datadir=$data" --auth-root-authentication-method=normal --skip-test-db
    "${server[@]}" --skip-networking &
    setup=$!
    until "${client[@]}" -e 'SELECT 1' >/dev/null 2>&1; do kill -0 "$setup"; sleep 0.2; done
    "${client[@]}" -e "CREATE USER root@'%' IDENTIFIED BY '$MYSQL_ROOT_PASSWORD';
        GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION; ALTER USER root@localhost IDENTIFIED BY '$MYSQL_ROOT_PASSWORD';"
    for file in /docker-entrypoint-initdb.d/*.sql; do
        [ -e "$file" ] || continue
        echo "running $file"
        MYSQL_PWD=$MYSQL_ROOT_PASSWORD "${client[@]}" <"$file"
    done
    kill "$setup" && wait "$setup" || true
fi
exec "${server[@]}" --bind-address=0.0.0.0 --port=3306 --skip-name-resolve "$@"
