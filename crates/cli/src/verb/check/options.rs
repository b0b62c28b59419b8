//! What the options of `check` mean: rights, load flags, program types, attach types.

use super::Format;
use crate::{failure::Failure, inspect};
use alveary_abi::{AttachType, Profile, ProgType, flags};
use alveary_diag::{Diagnostic, Place};
use alveary_verifier::Caps;
use clap::ValueEnum;

/// Rights by their names in capabilities(7), and what they give. Who administers the system has them all.
const RIGHTS: &[(&str, Caps)] = &[
    ("bpf", Caps { bpf: true, ..Caps::NONE }),
    ("perfmon", Caps { perfmon: true, ..Caps::NONE }),
    ("net_admin", Caps { net_admin: true, ..Caps::NONE }),
    ("sys_admin", Caps::ALL),
    ("all", Caps::ALL),
    ("none", Caps::NONE),
];

/// Flags of `BPF_PROG_LOAD` that programs are verified under. `test_rnd_hi32` changes their code, not the verdict.
const FLAGS: &[(&str, u32)] = &[
    ("strict_alignment", flags::BPF_F_STRICT_ALIGNMENT),
    ("any_alignment", flags::BPF_F_ANY_ALIGNMENT),
    ("test_rnd_hi32", flags::BPF_F_TEST_RND_HI32),
    ("test_state_freq", flags::BPF_F_TEST_STATE_FREQ),
    ("sleepable", flags::BPF_F_SLEEPABLE),
    ("xdp_has_frags", flags::BPF_F_XDP_HAS_FRAGS),
];

/// An option without effect in a format.
pub(super) fn no_place(option: &str, format: Format, places: &[Format]) -> Failure {
    let name = |format: &Format| format!("--format {}", format.to_possible_value().expect("none is hidden").get_name());
    let better: Vec<String> = places.iter().map(name).collect();
    Diagnostic::new("option", format!("{option} has no place in {}", name(&format)), Place::Nowhere)
        .expected(better.join(" or "))
        .into()
}

/// The rights of a list like `bpf,net_admin`.
pub(super) fn caps(list: &[String]) -> Result<Caps, Failure> {
    if list.len() > 1 && list.iter().any(|name| name.eq_ignore_ascii_case("none")) {
        let both = Diagnostic::new("option", "`none` stands beside other capabilities", Place::Nowhere);
        return Err(both.expected("none alone, or a list of some").found(list.join(",")).into());
    }
    list.iter().try_fold(Caps::NONE, |caps, name| {
        let lower = name.to_ascii_lowercase();
        let given = named(RIGHTS, "capability", lower.strip_prefix("cap_").unwrap_or(&lower))?;
        Ok(Caps {
            bpf: caps.bpf || given.bpf,
            perfmon: caps.perfmon || given.perfmon,
            net_admin: caps.net_admin || given.net_admin,
        })
    })
}

/// The flags of a list like `sleepable,test_state_freq`.
pub(super) fn load_flags(list: &[String]) -> Result<u32, Failure> {
    list.iter().try_fold(0, |sum, name| Ok(sum | named(FLAGS, "load flag", name)?))
}

fn named<T: Copy>(rows: &[(&str, T)], what: &str, name: &str) -> Result<T, Failure> {
    let known: Vec<&str> = rows.iter().map(|(name, _)| *name).collect();
    let row = rows.iter().find(|(known, _)| *known == name);
    row.map(|(_, value)| *value).ok_or_else(|| inspect::missing(what, name, &known, Place::Nowhere).into())
}

/// The program type of a name; that the kernel is too old for it is the verdict's to say.
pub(super) fn prog_type(profile: &Profile, name: &str) -> Result<ProgType, Failure> {
    let rows = &profile.tables().prog_types;
    rows.iter().find(|row| row.name == name).map(|row| row.ty).ok_or_else(|| {
        let known: Vec<&str> = rows.iter().map(|row| row.name).collect();
        inspect::missing("program type", name, &known, Place::Nowhere).into()
    })
}

/// What programs are attached to: an attach type of theirs. Functions of the kernel are not judged yet.
pub(super) fn attach_type(profile: &Profile, ty: ProgType, name: &str) -> Result<AttachType, Diagnostic> {
    let row = profile.prog_type(ty);
    let (ty, theirs) = row.map_or(("unknown", &[][..]), |row| (row.name, row.attach));
    let Some(found) = profile.attach_type_named(&name.to_ascii_lowercase()) else {
        let names: Vec<&str> = theirs.iter().filter_map(|at| Some(profile.attach_type(*at)?.name)).collect();
        let why = inspect::missing("attach type", name, &names, Place::Nowhere);
        return Err(why.note("programs that are attached to a function of the kernel by its types are not judged yet"));
    };
    if theirs.contains(&found.ty) || theirs.is_empty() {
        return Ok(found.ty);
    }
    let names: Vec<&str> = theirs.iter().filter_map(|at| Some(profile.attach_type(*at)?.name)).collect();
    Err(Diagnostic::new("attach-type", format!("{ty} programs are not attached as {}", found.name), Place::Nowhere)
        .expected(format!("one of {}", names.join(", ")))
        .found(found.name.to_owned()))
}
