//! Text that was read and found good, and must not change unnoticed. `UPDATE=1 cargo test` renews it.

use std::{env, fmt::Write, fs, path::Path};

/// Holds `actual` against `tests/golden/NAME`.
#[track_caller]
pub(crate) fn golden(name: &str, actual: &str) {
    // The package, or that of the binary around it.
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let golden = packages.map(|package| package.join("tests/golden")).find(|golden| golden.is_dir());
    let path = golden.expect("a folder of golden files").join(name);
    if env::var_os("UPDATE").is_some_and(|v| v == "1") {
        fs::create_dir_all(path.parent().expect("it has a directory")).expect("the directory can be made");
        fs::write(&path, actual).expect("the golden file can be written");
        return;
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(expected == actual, "tests/golden/{name} differs (UPDATE=1 renews it):\n{}", difference(&expected, actual));
}

/// The lines between what both begin with and what both end with.
fn difference(expected: &str, actual: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (expected.lines().collect(), actual.lines().collect());
    let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let tail = old[head..].iter().rev().zip(new[head..].iter().rev()).take_while(|(a, b)| a == b).count();
    let mut text = format!("from line {}:\n", head + 1);
    for (sign, lines) in [('-', &old[head..old.len() - tail]), ('+', &new[head..new.len() - tail])] {
        for line in lines {
            writeln!(text, "{sign} {line}").expect("a String takes everything");
        }
    }
    text
}
