//! `alveary lb import`.

use crate::{failure::Failure, files, output};
use alveary_lb::keepalived;
use clap::{Args, ValueHint};
use serde_json::json;
use std::path::PathBuf;

/// Make a configuration of keepalived's
///
/// Virtual servers, their real servers and checks are carried over. What cannot be is said in comments at the end, with its
/// line.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  alveary lb import /etc/keepalived/keepalived.conf > lb.toml")]
pub(super) struct Import {
    /// keepalived's file; `-` is stdin
    #[arg(value_name = "keepalived.conf", value_hint = ValueHint::FilePath, value_parser = files::input)]
    file: PathBuf,
}

impl Import {
    pub(super) fn run(&self, json: bool) -> Result<(), Failure> {
        let imported = keepalived::import(&files::text(&self.file)?);
        if json {
            let left: Vec<_> = imported.left.iter().map(|(line, what)| json!({ "line": line, "what": what })).collect();
            return output::object(&json!({ "config": imported.toml, "left": left }));
        }
        output::write(|out| {
            out.write_all(imported.toml.as_bytes())?;
            if !imported.left.is_empty() {
                writeln!(out, "\n# Not carried over:")?;
            }
            // What is said may quote the file.
            let plain = |what: &str| what.replace(|c: char| c.is_control(), " ");
            imported.left.iter().try_for_each(|(line, what)| writeln!(out, "# line {line}: {}", plain(what)))
        })
    }
}
