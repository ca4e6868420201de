-- Run once by the database's image, on a new volume. On an old one the exporter's account is made over SQL
-- (account.py): phase 1 does that in any case, as this file does not run again (docs/corrections.md).
CREATE USER IF NOT EXISTS 'portal'@'%' IDENTIFIED BY '$portal_password';
GRANT CREATE, DROP, ALTER, INDEX, REFERENCES, SELECT, INSERT, UPDATE, DELETE, LOCK TABLES ON *.* TO 'portal'@'%';
CREATE USER IF NOT EXISTS 'exporter'@'%' IDENTIFIED BY '$exporter_password' WITH MAX_USER_CONNECTIONS 3;
GRANT PROCESS, REPLICATION CLIENT, SELECT ON *.* TO 'exporter'@'%';
