-- Head of the one-time set-up of an empty data directory (`mariadbd --bootstrap`); MariaDB's own system tables follow.
-- root@localhost is then the only account, and only the operating system's root may use it, over the socket.
CREATE DATABASE IF NOT EXISTS mysql;
USE mysql;
SET @auth_root_socket='root', @skip_auth_anonymous=1;
