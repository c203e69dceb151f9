//! gRPC between the services: generated code, channels, credentials and the hand-off stream
