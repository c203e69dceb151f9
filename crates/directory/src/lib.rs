//! Domains, accounts, aliases and credentials: the only owner of directory SQL
