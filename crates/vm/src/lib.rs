//! The engine: runs [`Code`]. Knows instructions, an [`Env`], symbols and call signatures.
//! Knows no maps, no helpers, no program types and no verifier: they arrive as addresses and as [`Checks`].

mod checks;
mod code;
mod env;
mod region;
mod trap;

pub use checks::Checks;
pub use code::{Call, Code, Func, Known, Link, Sym};
pub use env::{Env, HelperFn};
pub use region::{Region, Slots};
pub use trap::{Exit, Trap, TrapKind};
