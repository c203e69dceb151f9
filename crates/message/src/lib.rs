//! Message headers: trace fields, submission fix-ups, delivery status notifications
