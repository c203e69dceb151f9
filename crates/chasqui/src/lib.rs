//! The operator's command line, and chasqui dev: the whole fleet in one process
