//! `cargo xtask attach-table`: docs/linux.md's table of what can be attached, from the test that attaches it, on the
//! running kernel and on each in a virtual machine.

use std::{fs, process::Command};

use super::kernels::KERNELS;
use crate::{
    Outcome,
    process::{cargo, output, path},
};

const DOCUMENT: &str = "docs/linux.md";
/// The table stands between these lines.
const BEGIN: &str = "<!-- cargo xtask attach-table -->\n";
const END: &str = "<!-- end -->";

/// The test that prints what became of each case, a line that begins with `TABLE`.
const TEST: &[&str] = &["--nocapture", "--test-threads=1", "every_type_is_attached_triggered_and_detached"];

/// What one kernel says: each case by name, and what became of it.
type Column = Vec<(String, String)>;

/// The command.
pub(crate) fn write(arguments: &[String]) -> Outcome {
    if !arguments.is_empty() {
        return Err("takes no arguments".into());
    }
    if let Some(obstacle) = super::obstacle() {
        return Err(obstacle);
    }
    let mut heads = vec![release(&output(Command::new("uname").arg("-r"))?)];
    let mut here = cargo(&["test", "--quiet", "--package", "alveary-linux", "--test", "attach", "--"]);
    let mut columns = vec![column(&output(here.args(TEST))?)];
    for kernel in KERNELS {
        let order = ["xtask", "vm", "--kernel", kernel.name, "--tests", "alveary-linux", "--"];
        let inside = format!("uname -r; modprobe veth; exec /tests/attach {}", TEST.join(" "));
        let said = output(cargo(&order).args(["sh", "-euc", &inside]))?;
        heads.push(release(&said));
        columns.push(column(&said));
    }
    let document = fs::read_to_string(path(DOCUMENT)).map_err(|error| format!("{DOCUMENT}: {error}"))?;
    let parts = document.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = parts.ok_or_else(|| format!("{DOCUMENT} has no place for the table: {BEGIN}{END}"))?;
    let text = format!("{before}{BEGIN}{}{END}{after}", table(&heads, &columns));
    fs::write(path(DOCUMENT), text).map_err(|error| format!("{DOCUMENT}: {error}"))
}

/// The first two numbers of the version that a machine's first line names.
fn release(said: &str) -> String {
    said.lines().next().unwrap_or_default().split('.').take(2).collect::<Vec<_>>().join(".")
}

fn column(said: &str) -> Column {
    let lines = said.lines().filter_map(|line| line.split_once("TABLE\t")?.1.split_once('\t'));
    lines.map(|(case, result)| (case.to_owned(), result.to_owned())).collect()
}

fn table(heads: &[String], columns: &[Column]) -> String {
    let mut text =
        format!("\n| program type: place | here, {} |\n|---|{}\n", heads.join(" | "), "---|".repeat(heads.len()));
    for (row, (case, _)) in columns.first().into_iter().flatten().enumerate() {
        let cells: Vec<String> = columns.iter().map(|column| cell(column.get(row))).collect();
        text += &format!("| {case} | {} |\n", cells.join(" | "));
    }
    text + "\n"
}

fn cell(result: Option<&(String, String)>) -> String {
    result.map_or("?".into(), |(_, result)| result.replace('|', "/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_made_of_what_tests_print() {
        let said = "6.1.0-cloud\nrunning 1 test\ntest x ... TABLE\txdp\tyes\nTABLE\ttcx\tneeds Linux 6.6\n";
        assert_eq!(release(said), "6.1");
        let text = table(&["6.18".into(), release(said)], &[column(said), column(said)]);
        assert!(text.contains("| program type: place | here, 6.18 | 6.1 |\n|---|---|---|\n"), "{text}");
        assert!(text.contains("| tcx | needs Linux 6.6 | needs Linux 6.6 |\n"), "{text}");
    }
}
