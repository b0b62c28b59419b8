//! `alveary lb withdraw`, `announce`: whether routers are told of a balancer's VIPs.

use super::client::{Which, said};
use crate::failure::Failure;
use clap::Args;
use serde_json::json;

/// Take routes to a balancer's VIPs back: packets go to others from now on
///
/// It goes on balancing what still comes, until it is stopped or told to announce again.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  alveary lb withdraw")]
pub(super) struct Withdraw {
    #[command(flatten)]
    which: Which,
}

/// Announce routes to a balancer's VIPs again
#[derive(Debug, Args)]
#[command(after_help = "Example:
  alveary lb announce")]
pub(super) struct Announce {
    #[command(flatten)]
    which: Which,
}

impl Withdraw {
    pub(super) fn run(&self, json: bool) -> Result<(), Failure> {
        said(&self.which.ask("POST", "/v1/withdraw", &json!({}))?, json)
    }
}

impl Announce {
    pub(super) fn run(&self, json: bool) -> Result<(), Failure> {
        said(&self.which.ask("POST", "/v1/announce", &json!({}))?, json)
    }
}
