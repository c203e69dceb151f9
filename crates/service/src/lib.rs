//! What each service's main needs: configuration, logs, health and graceful shutdown
