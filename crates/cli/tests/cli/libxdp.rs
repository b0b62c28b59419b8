//! Debian's `libxdp1` has compiled objects that nobody here wrote. Installs nothing: uses them where they are.

use crate::session::Session;
use std::process::Command;

/// The objects, by path; `None` (and a word on stderr) where the package is not installed.
fn objects(test: &str) -> Option<Vec<String>> {
    let listed = Command::new("dpkg").args(["-L", "libxdp1"]).output().ok().filter(|o| o.status.success());
    let Some(listed) = listed else {
        eprintln!("SKIP {test}: the package libxdp1 is not installed");
        return None;
    };
    let list = String::from_utf8(listed.stdout).expect("paths are text");
    Some(list.lines().filter(|l| l.ends_with(".o")).map(str::to_owned).collect())
}

#[test]
fn every_object_is_shown_and_disassembled() {
    let Some(objects) = objects("every_object_is_shown_and_disassembled") else { return };
    assert_eq!(objects.len(), 15);
    let session = Session::new();
    for path in objects {
        let show = session.output(&format!("show {path} --json"));
        assert_eq!((show.code, &*show.stderr), (Some(0), ""), "{path}");
        let shown: serde_json::Value = serde_json::from_str(&show.stdout).expect("it is JSON");
        let programs = shown["programs"].as_array().expect("there are programs");
        assert!(!programs.is_empty(), "{path}");
        for program in programs {
            let name = program["name"].as_str().expect("a program has a name");
            let disasm = session.output(&format!("disasm {path} --prog {name}"));
            assert_eq!(disasm.code, Some(0), "{path}");
            let insns = disasm.stdout.lines().filter(|l| l.starts_with(' ')).count();
            assert!(insns > 0 && insns as u64 <= program["insns_total"].as_u64().expect("a number"), "{path}: {name}");
            assert!(!disasm.stdout.contains("(no instruction"), "{path}: {name}");
        }
    }
}
