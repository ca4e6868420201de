-- Run at every start (`--init-file`), so that accounts fit their passwords on an old data directory too (corrections.md 15).
-- The exporter's account is not here: phase 1 creates it.
CREATE USER IF NOT EXISTS 'root'@'127.0.0.1';
ALTER USER 'root'@'127.0.0.1' IDENTIFIED BY '$root_password';
GRANT ALL ON *.* TO 'root'@'127.0.0.1' WITH GRANT OPTION;
CREATE USER IF NOT EXISTS 'portal'@'127.0.0.1';
ALTER USER 'portal'@'127.0.0.1' IDENTIFIED BY '$portal_password';
GRANT CREATE, DROP, ALTER, INDEX, REFERENCES, SELECT, INSERT, UPDATE, DELETE, LOCK TABLES ON *.* TO 'portal'@'127.0.0.1';
