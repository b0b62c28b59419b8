//! Maps and programs that several tests use.

use alveary_abi::ProgType;
use alveary_isa::Insn;
use alveary_linux::sys::{Loaded, Map, MapCreate, ProgLoad};
use alveary_testing::{bpf::permitted, code};

/// Whether bpf(2) may be used; if not, a line names the test that is skipped.
pub(crate) fn allowed(test: &str) -> bool {
    permitted(test)
}

pub(crate) fn map(map_type: u32, key_size: u32, value_size: u32, max_entries: u32) -> Map {
    MapCreate { map_type, key_size, value_size, max_entries, name: "alveary_test", ..MapCreate::default() }
        .create()
        .expect("a map")
}

/// Instructions that name no map.
pub(crate) fn insns(text: &str) -> Vec<Insn> {
    code(text, |_, name| panic!("no {name} here"))
}

pub(crate) fn xdp(text: &str) -> Loaded {
    let insns = insns(text);
    let load = ProgLoad { name: "alveary_test", license: c"GPL", ..ProgLoad::new(ProgType::XDP, &insns) };
    load.load().expect("a program")
}
