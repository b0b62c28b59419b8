//! What the kernel's self-tests expect, by the tags that their programs carry (`comment:test_expect_…`), held against our
//! verdicts and our log at level 2. No kernel is asked.

use super::{
    objects::{self, Object},
    ours,
};
use alveary_abi::flags;
use alveary_btf::Type;
use alveary_spec::{Kernel, Program, Spec};
use alveary_verifier::{Caps, Env, LogLevel, Verdict};
use std::{path::PathBuf, sync::Arc};

/// What a program's tags say.
#[derive(Default)]
struct Expected {
    accepted: Option<bool>,
    /// In this order, with the numbers that they are sorted by.
    messages: Vec<(u32, String)>,
    flags: u32,
}

/// How many of each.
#[derive(Default)]
struct Counts {
    tagged: usize,
    refused: usize,
    /// As expected, of those with a verdict.
    verdicts: usize,
    rejected: usize,
    /// Rejected, with every message that is expected.
    said: usize,
}

/// Judges all tagged programs; prints where expectation and verdict part, then the counts.
pub(super) fn run(folders: &[PathBuf], only: Option<&str>, unprivileged: bool) -> Result<(), String> {
    let this = objects::this_kernel()?;
    let mut files = Vec::new();
    for folder in folders {
        objects::find(folder, &mut files)?;
    }
    let caps = if unprivileged { Caps::NONE } else { Caps::ALL };
    let mut counts = Counts::default();
    for file in files {
        let Ok(object) = Object::read(&file, &this) else { continue };
        for name in object.programs() {
            let expected = expected(&object.spec, name, unprivileged);
            let Some(accepted) = expected.accepted else { continue };
            let name_in = format!("{}:{name}", object.name());
            if only.is_none_or(|only| name_in.contains(only)) {
                judge(&object, (name, &name_in), &expected, accepted, caps, &this, &mut counts);
            }
        }
    }
    let share = |part: usize, all: usize| 100.0 * part as f64 / all.max(1) as f64;
    let judged = counts.tagged - counts.refused;
    println!("{} programs say what they expect; {} of them are not judged", counts.tagged, counts.refused);
    println!("verdict as expected: {} of {judged}, {:.1} %", counts.verdicts, share(counts.verdicts, judged));
    println!(
        "expected messages in our log: {} of {} rejected programs, {:.1} %",
        counts.said,
        counts.rejected,
        share(counts.said, counts.rejected)
    );
    Ok(())
}

fn judge(
    object: &Object,
    names: (&str, &str),
    expected: &Expected,
    accepted: bool,
    caps: Caps,
    kernel: &Kernel,
    counts: &mut Counts,
) {
    let Ok((program, resolved)) = object.resolve(names.0, kernel) else { return };
    let mut program = Program { flags: program.flags | expected.flags, ..Program::clone(&program) };
    if !caps.bpf {
        // Types are not theirs to load.
        program = Program { btf: None, funcs: Vec::new(), lines: Vec::new(), ..program };
    }
    let program = Arc::new(program);
    let env = Env { caps, log: LogLevel::ALL, ..Env::new(kernel, &resolved.maps) };
    counts.tagged += 1;
    let Ok(report) = ours::checked(&program, &env) else {
        println!("{}: panicked", names.1);
        return;
    };
    let ours = match &report.verdict {
        Verdict::Accept => true,
        Verdict::Reject(_) => false,
        Verdict::Refused { .. } => {
            counts.refused += 1;
            return;
        }
    };
    if ours != accepted {
        println!("{}: expected to be {}", names.1, if accepted { "accepted" } else { "rejected" });
        return;
    }
    counts.verdicts += 1;
    if accepted {
        return;
    }
    counts.rejected += 1;
    match missing(&report.log, &expected.messages) {
        None => counts.said += 1,
        Some(message) => println!("{}: does not say: {message}", names.1),
    }
}

/// The first message that is not in the log behind those before it. What stands in double braces is a pattern of the
/// test's own, and taken for anything.
fn missing<'e>(log: &str, messages: &'e [(u32, String)]) -> Option<&'e str> {
    let mut rest = log;
    for (_, message) in messages {
        for part in
            message.split("{{").flat_map(|part| part.split_once("}}").map_or(Some(part), |(_, plain)| Some(plain)))
        {
            let Some(at) = rest.find(part) else { return Some(message) };
            rest = &rest[at + part.len()..];
        }
    }
    None
}

/// What the tags of a program say, for all who load it or for ordinary users. Of these they speak only of some programs,
/// and where they do not say otherwise, they expect the same.
fn expected(spec: &Spec, program: &str, unprivileged: bool) -> Expected {
    let (mut expected, mut users) = (Expected::default(), Expected::default());
    let Some(btf) = &spec.btf else { return expected };
    let is_program = |id| matches!(btf.ty(id), Some(Type::Func { name, .. }) if name == program);
    for id in btf.ids() {
        let Some(Type::DeclTag { name, ty, component: None }) = btf.ty(id) else { continue };
        let Some(tag) = name.strip_prefix("comment:test_").filter(|_| is_program(ty)) else { continue };
        let message = |prefix: &str| {
            let (number, text) = tag.strip_prefix(prefix)?.split_once('=')?;
            Some((number.parse().unwrap_or_default(), text.to_owned()))
        };
        match tag {
            "expect_success" => expected.accepted = Some(true),
            "expect_failure" => expected.accepted = Some(false),
            "expect_success_unpriv" => users.accepted = Some(true),
            "expect_failure_unpriv" => users.accepted = Some(false),
            _ => {
                expected.messages.extend(message("expect_msg="));
                users.messages.extend(message("expect_msg_unpriv="));
                expected.flags |= tag.strip_prefix("prog_flags=").map_or(0, flag);
            }
        }
    }
    if unprivileged {
        if users.accepted.is_none() && !users.messages.is_empty() {
            users.accepted = expected.accepted;
        }
        if users.messages.is_empty() {
            users.messages = expected.messages;
        }
        users.flags = expected.flags;
        expected = users;
    }
    expected.messages.sort();
    expected
}

pub(super) fn flag(name: &str) -> u32 {
    match name {
        "BPF_F_STRICT_ALIGNMENT" => flags::BPF_F_STRICT_ALIGNMENT,
        "BPF_F_ANY_ALIGNMENT" => flags::BPF_F_ANY_ALIGNMENT,
        "BPF_F_TEST_STATE_FREQ" => flags::BPF_F_TEST_STATE_FREQ,
        "BPF_F_SLEEPABLE" => flags::BPF_F_SLEEPABLE,
        "BPF_F_XDP_HAS_FRAGS" => flags::BPF_F_XDP_HAS_FRAGS,
        number => number.parse().unwrap_or_default(),
    }
}
