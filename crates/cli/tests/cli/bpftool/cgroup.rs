//! `cgroup show`, `tree`, `attach` and `detach`, on cgroups of the tests' own.

use super::{CGROUPS, Cgroup, output, permitted, same, text};
use alveary_abi::{AttachType, ProgType};
use alveary_linux::sys::{Loaded, ProgLoad, ProgParts, prog_info};
use std::os::fd::AsFd;

fn load(expected: AttachType) -> (Loaded, String) {
    let code = alveary_testing::code("r0 = 1\nexit", |_, _| unreachable!("there is no symbol"));
    let load = ProgLoad { name: "cli_cgroup", license: c"GPL", ..ProgLoad::new(ProgType::CGROUP_SKB, &code) };
    let loaded = ProgLoad { expected: Some(expected), ..load }.load().expect("the kernel takes it");
    let id = prog_info(loaded.fd.as_fd(), ProgParts::default()).expect("the kernel tells").id.to_string();
    (loaded, id)
}

#[test]
fn programs_of_cgroups_are_handled_as_by_bpftool() {
    let test = "programs_of_cgroups_are_handled_as_by_bpftool";
    if !permitted(test) {
        return;
    }
    let Some(cgroup) = Cgroup::named("verbs") else {
        eprintln!("SKIP {test}: no cgroup2 at {CGROUPS:?}");
        return;
    };
    let inner = cgroup.0.join("inner");
    std::fs::create_dir(&inner).expect("a cgroup inside");
    let (_egress, egress) = load(AttachType::CGROUP_INET_EGRESS);
    let (_ingress, ingress) = load(AttachType::CGROUP_INET_INGRESS);
    let (outer, inner) = (cgroup.0.display().to_string(), inner.display().to_string());
    let run = |tool: &str, words: &[&str]| {
        let done = output(tool, words);
        assert!(done.status.success(), "{tool} {words:?}: {}", text(&done.stderr));
        text(&done.stdout)
    };
    let ours = env!("CARGO_BIN_EXE_alveary");
    let show = || {
        for words in [&["show", &outer][..], &["list", &inner], &["show", &inner, "effective"], &["tree", &outer]] {
            same(&[&["cgroup"], words].concat());
        }
        same(&["cgroup", "tree", &outer, "effective"]);
    };
    show();
    run(ours, &["cgroup", "attach", &outer, "cgroup_inet_egress", "id", &egress, "multi"]);
    assert_eq!(run(ours, &["cgroup", "attach", &inner, "ingr", "id", &ingress, "-j"]), "null\n");
    show();
    let seen = run(ours, &["cgroup", "show", &inner, "effective"]);
    assert!(seen.contains("cgroup_inet_egress cli_cgroup") && seen.contains("cgroup_inet_ingress"), "{seen}");
    // What one tool attached, the other takes off.
    run("bpftool", &["cgroup", "detach", &outer, "cgroup_inet_egress", "id", &egress]);
    run("bpftool", &["cgroup", "attach", &outer, "egress", "id", &egress, "override"]);
    show();
    run(ours, &["cgroup", "detach", &outer, "egress", "id", &egress]);
    run(ours, &["cgroup", "detach", &inner, "cgroup_inet_ingress", "id", &ingress]);
    assert_eq!(run(ours, &["cgroup", "show", &outer]), "");
    same(&["cgroup", "show", "/nowhere"]);
    same(&["cgroup", "attach", &outer, "sideways", "id", &egress]);
    std::fs::remove_dir(&inner).expect("it is empty");
}
