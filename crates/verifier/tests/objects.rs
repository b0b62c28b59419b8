//! Whole objects: the repository's own, and, where it is installed, Debian's `libxdp1`.

use alveary_object::{Options, read, resolve};
use alveary_testing::kernel;
use alveary_verifier::{Env, Stats, Verdict, check};
use std::{fs, path::Path};

fn judge(path: &Path) -> Vec<(String, Verdict, Stats)> {
    let spec = read(&fs::read(path).expect("the object is there")).expect("it is an object");
    let kernel = kernel(2);
    let resolved = resolve(&spec, &kernel, &Options::default()).expect("it resolves");
    let env = Env::new(&kernel, &resolved.maps);
    let judged = resolved.programs.iter().map(|program| {
        let report = check(program, &env);
        (program.name.to_string(), report.verdict, report.stats)
    });
    judged.collect()
}

/// Linux 6.18.44 processed so many instructions, and kept so many states, when it loaded the same object.
#[test]
fn our_objects_are_followed_as_the_kernel_follows_them() {
    for (name, insns, states) in [("rewrite", 276, 20), ("filter", 30229, 1716), ("count", 65613, 2867)] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../examples/{name}.bpf.o"));
        for (program, verdict, stats) in judge(&path) {
            assert_eq!(verdict, Verdict::Accept, "{program}");
            assert_eq!((stats.insns_processed, stats.total_states), (insns, states), "{program}");
        }
    }
}

#[test]
fn libxdp1_is_accepted() {
    let folder = Path::new("/usr/lib/x86_64-linux-gnu/bpf");
    let filters = ["xdpfilt_dny_eth.o", "xdpfilt_alw_eth.o", "xsk_def_xdp_prog.o", "xdp-dispatcher.o"];
    let paths = filters.map(|name| folder.join(name));
    if !paths.iter().all(|path| path.exists()) {
        eprintln!("SKIP libxdp1_is_accepted: the package libxdp1 is not installed");
        return;
    }
    for path in paths {
        for (program, verdict, _) in judge(&path) {
            assert_eq!(verdict, Verdict::Accept, "{}: {program}", path.display());
        }
    }
}
