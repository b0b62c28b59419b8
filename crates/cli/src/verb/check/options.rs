//! What the options of `check` mean: rights, load flags, program types, attach types.

use super::Format;
use crate::{failure::Failure, inspect};
use alveary_abi::{AttachType, Profile, ProgType, flags};
use alveary_diag::{Diagnostic, Place, did_you_mean};
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

/// The rights of a list like `bpf,net_admin`, in clap's manner.
pub(super) fn caps(list: &str) -> Result<Caps, String> {
    let names: Vec<&str> = list.split(',').map(str::trim).collect();
    if names.len() > 1 && names.iter().any(|name| name.eq_ignore_ascii_case("none")) {
        return Err("`none` stands beside other capabilities".to_owned());
    }
    names.iter().try_fold(Caps::NONE, |caps, name| {
        let lower = name.to_ascii_lowercase();
        let given = named(RIGHTS, "capability", lower.strip_prefix("cap_").unwrap_or(&lower))?;
        Ok(Caps {
            bpf: caps.bpf || given.bpf,
            perfmon: caps.perfmon || given.perfmon,
            net_admin: caps.net_admin || given.net_admin,
        })
    })
}

/// The flags of a list like `sleepable,test_state_freq`, in clap's manner.
pub(super) fn load_flags(list: &str) -> Result<u32, String> {
    list.split(',').try_fold(0, |sum, name| Ok(sum | named(FLAGS, "load flag", name.trim())?))
}

fn named<T: Copy>(rows: &[(&str, T)], what: &str, name: &str) -> Result<T, String> {
    let row = rows.iter().find(|(known, _)| *known == name);
    row.map(|(_, value)| *value).ok_or_else(|| {
        let known: Vec<&str> = rows.iter().map(|(name, _)| *name).collect();
        unknown(what, name, &known, did_you_mean(name, known.iter().copied()))
    })
}

/// The program type of a name, in clap's manner; that the kernel is too old for it is the verdict's to say.
pub(super) fn prog_type(name: &str) -> Result<ProgType, String> {
    let profile = Profile::linux_6_18();
    let rows = &profile.tables().prog_types;
    rows.iter().find(|row| row.name == name).map(|row| row.ty).ok_or_else(|| {
        let known: Vec<&str> = rows.iter().map(|row| row.name).collect();
        // Sections have names of their own: programs of `tc` are of the type sched_cls.
        let section = profile.section(name).and_then(|section| Some(profile.prog_type(section.row.ty)?.name));
        unknown("program type", name, &known, section.or_else(|| did_you_mean(name, known.iter().copied())))
    })
}

fn unknown(what: &str, name: &str, known: &[&str], near: Option<&str>) -> String {
    let near = near.map(|near| format!(": did you mean `{near}`?")).unwrap_or_default();
    format!("there is no {what} `{name}`{near} (one of {})", known.join(", "))
}

/// Whether a kernel has an attach type of this name, of whatever version.
pub(super) fn names_attach_type(profile: &Profile, name: &str) -> bool {
    profile.tables().attach_types.iter().any(|row| row.name.eq_ignore_ascii_case(name))
}

/// The attach type of a name, if programs of this type may be attached so.
pub(super) fn attach_type(profile: &Profile, ty: ProgType, name: &str) -> Result<AttachType, Diagnostic> {
    let row = profile.prog_type(ty);
    let (ty, theirs) = row.map_or(("unknown", &[][..]), |row| (row.name, row.attach));
    let names: Vec<&str> = theirs.iter().filter_map(|at| Some(profile.attach_type(*at)?.name)).collect();
    let Some(found) = profile.attach_type_named(&name.to_ascii_lowercase()) else {
        return Err(inspect::missing("attach type", name, &names, Place::Nowhere));
    };
    if theirs.contains(&found.ty) || theirs.is_empty() {
        return Ok(found.ty);
    }
    Err(Diagnostic::new("attach-type", format!("{ty} programs are not attached as {}", found.name), Place::Nowhere)
        .expected(format!("one of {}", names.join(", ")))
        .found(found.name.to_owned()))
}
