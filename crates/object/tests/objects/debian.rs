//! The compiled objects of Debian's `libxdp1`, which nobody here wrote.

use crate::common::kernel;
use alveary_abi::{MapType, ProgType};
use alveary_object::{Options, read, resolve};

const DIR: &str = "/usr/lib/x86_64-linux-gnu/bpf";

#[test]
fn every_object_is_read_and_the_filters_resolve() {
    let Ok(dir) = std::fs::read_dir(DIR) else {
        eprintln!("SKIP every_object_is_read_and_the_filters_resolve: {DIR} is missing: install libxdp1");
        return;
    };
    let mut read_objects = 0;
    for entry in dir {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let spec = read(&std::fs::read(&path).unwrap()).unwrap_or_else(|d| panic!("{name}: {d}"));
        read_objects += 1;
        assert!(!spec.programs.is_empty(), "{name}");
        assert!(spec.functions.values().any(|f| !f.lines.is_empty()), "{name} has line info");
        if !name.starts_with("xdpfilt") {
            continue;
        }
        let resolved = resolve(&spec, &kernel(), &Options::default()).unwrap_or_else(|d| panic!("{name}: {d:?}"));
        let program = &resolved.programs[0];
        assert_eq!(program.ty, ProgType::XDP, "{name}");
        assert!(program.maps.iter().any(|m| m == "xdp_stats_map"), "{name}: {:?}", program.maps);
        assert_eq!(resolved.maps["xdp_stats_map"].def.ty, MapType::PERCPU_ARRAY, "{name}");
    }
    assert_eq!(read_objects, 15);
}
