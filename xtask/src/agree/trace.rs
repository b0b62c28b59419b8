//! Where two logs part.

/// Lines that are shown before the first that differs.
const BEFORE: usize = 12;
/// Lines that are shown from there on.
const AFTER: usize = 4;

/// Prints the first place at which the kernel's log and ours differ, with what stands before it.
pub(crate) fn print(name: &str, kernel: &str, ours: &str) {
    let (kernel, ours) = (lines(kernel), lines(ours));
    let same = kernel.iter().zip(&ours).take_while(|(a, b)| a == b).count();
    if same == kernel.len() && same == ours.len() {
        println!("{name}: the logs are the same, {same} lines");
        return;
    }
    println!("{name}: the logs part at line {} of {} and {}", same + 1, kernel.len(), ours.len());
    for line in &kernel[same.saturating_sub(BEFORE)..same] {
        println!("          {line}");
    }
    for (who, log) in [("kernel", &kernel), ("we    ", &ours)] {
        for line in log[same.min(log.len())..].iter().take(AFTER) {
            println!("  {who}: {line}");
        }
    }
}

/// The lines that matter: not how long it took, nor what the kernel remarks on types before it verifies.
fn lines(log: &str) -> Vec<String> {
    const OTHERS: [&str; 5] =
        ["verification time", "stack depth", "processed ", "arg#0 reference type(", "Global function "];
    let matters = |line: &&str| !OTHERS.iter().any(|start| line.starts_with(start));
    log.lines().filter(matters).map(|line| plain(line.trim_end())).collect()
}

/// A line without the addresses of maps and the object's name in front of its data sections' names.
fn plain(line: &str) -> String {
    let mut text = line.to_owned();
    if let Some((before, rest)) = line.split_once("(18) r").filter(|_| line.contains(" = 0x")) {
        let (register, rest) = rest.split_once(" = 0x").unwrap_or((rest, ""));
        let rest = rest.trim_start_matches(|c: char| c.is_ascii_hexdigit()).trim_start();
        text = format!("{before}(18) r{register} = … {rest}");
    }
    let mut plain = String::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once("map=") {
        let end = after.find([',', ')']).unwrap_or(after.len());
        let name = &after[..end];
        let section = name.find('.').map_or(name, |dot| &name[dot..]);
        plain.push_str(before);
        plain.push_str("map=");
        plain.push_str(section);
        rest = &after[end..];
    }
    plain + rest
}
