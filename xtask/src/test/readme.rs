//! The commands that README.md shows: each line of a `sh` block behind the mark `<!-- run -->` is run.

use std::fs;

use super::report::Tally;
use crate::process::{self, command, path};

const MARK: &str = "<!-- run -->";

/// What runs us: a README may show it, but it would never end.
const OURSELVES: &str = "cargo xtask test";

/// What a release costs in time is its optimisation across crates, which no command of the README depends on: the full run
/// does it, the other one does without.
const QUICK: &[(&str, &str)] = &[("CARGO_PROFILE_RELEASE_LTO", "off"), ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")];

pub(crate) fn commands(full: bool) -> Tally {
    let text = match fs::read_to_string(path("README.md")) {
        Ok(text) => text,
        Err(error) => return Tally::of("README.md", Err(error.to_string())),
    };
    let profile = if full { &[] } else { QUICK };
    let mut tally = Tally::default();
    for line in marked_lines(&text) {
        println!("$ {line}");
        let mut shell = command("sh", &["-euc", &line]);
        tally.add(Tally::of(&format!("README: {line}"), process::run(shell.envs(profile.iter().copied()))));
    }
    tally
}

/// The command lines of the marked blocks, without prompt, a line that ends in `\` with the next; comments are no commands.
fn marked_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once(MARK) {
        let block = after.trim_start().strip_prefix("```sh\n").and_then(|block| block.split_once("```"));
        let Some((block, after_block)) = block else {
            rest = after;
            continue;
        };
        let block = block.replace("\\\n", " ");
        let commands = block.lines().map(|line| line.strip_prefix("$ ").unwrap_or(line).trim());
        let ours = commands.filter(|line| !line.is_empty() && !line.starts_with('#') && *line != OURSELVES);
        lines.extend(ours.map(str::to_owned));
        rest = after_block;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::marked_lines;

    #[test]
    fn only_marked_blocks_are_run() {
        let text = "```sh\nrm -r /\n```\n<!-- run -->\n```sh\n$ true\n# why\n\ncargo xtask test\nfalse \\\n  || true\n```\nand\n```sh\nno\n```\n";
        assert_eq!(marked_lines(text), ["true", "false    || true"]);
    }
}
