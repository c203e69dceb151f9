//! Chasqui's message submission agent: 587 STARTTLS, 465 TLS, SMTP AUTH
