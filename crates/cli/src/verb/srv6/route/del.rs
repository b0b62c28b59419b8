//! `alveary srv6 route del`.

use super::{
    super::{prefix::Prefix, refused::refused},
    Which, show,
};
use crate::{failure::Failure, output};
use alveary_diag::{Diagnostic, Place};
use clap::Args;

/// Remove a route with a segment, a headend or a program
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alveary srv6 route del fc00:e::/64
  alveary srv6 route del fc00:e::/64 --table 77")]
pub(super) struct Del {
    /// Its destination
    #[arg(value_name = "PREFIX")]
    destination: Prefix,

    #[command(flatten)]
    which: Which,
}

impl Del {
    pub(super) fn run(&self, json: bool) -> Result<(), Failure> {
        let wrong = |message: String| Diagnostic::new("srv6", message, Place::Nowhere);
        let all = self.which.routes(Some(self.destination))?;
        let [route] = &all[..] else {
            return Err(match all.len() {
                0 => wrong(format!("there is no such route to {}", self.destination))
                    .expected("one with a segment, a headend or a program")
                    .help("`alveary srv6 route show` shows those that there are"),
                _ => wrong(format!("which route to {}?", self.destination))
                    .found(all.iter().map(show::line).collect::<Vec<_>>().join("; "))
                    .help("name its device or table: `--dev IF`, `--table TABLE`"),
            }
            .into());
        };
        route.delete().map_err(|why| refused(format!("the route to {} cannot be removed", self.destination), &why))?;
        if json {
            return output::object(&serde_json::json!({ "deleted": show::json(route) }));
        }
        output::plain(&format!("deleted the route to {}\n", self.destination))
    }
}
