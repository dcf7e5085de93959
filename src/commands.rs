//! One `run` per command: the only places where everything is wired together.

pub mod check;
pub mod demo;
pub mod detect;
pub mod migrate;
pub mod replay;
pub mod serve;
pub mod simulate;
mod table;
pub mod top;
