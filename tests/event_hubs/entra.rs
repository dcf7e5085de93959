//! Entra.
