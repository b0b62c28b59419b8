//! How long programs and maps live that name each other.

use alveary::{Backend, Loader, Target, TestRun, UserProgram};
use alveary_abi::{MapType, ProgType};
use alveary_isa::{Endian, Inst};
use alveary_spec::{Initial, MapSpec, Resolved};
use alveary_testing::{code, def, map_spec, program};
use std::sync::Arc;

/// A program that tail-calls itself by a prog array, and returns 7 where it cannot.
fn tail_calls_itself() -> Resolved {
    let text = "r2 = again ll\nr3 = 0\ncall 12\nr0 = 7\nexit\n";
    let mut entry = program(ProgType::XDP, code(text, |dst, _| Inst::MapIdx { dst, idx: 0 }));
    entry.maps = vec!["again".into()];
    let slots = Initial::Programs(vec![Some(entry.name.to_string())]);
    let again = MapSpec { initial: slots, ..map_spec("again", def(MapType::PROG_ARRAY, 4, 4, 1)) };
    Resolved {
        endian: Endian::HOST,
        maps: [("again".into(), again)].into(),
        programs: vec![Arc::new(entry)],
        btf: None,
    }
}

#[test]
fn a_prog_array_and_a_program_that_name_each_other_are_freed() {
    // Checked, so that its instructions are counted.
    let loaded = Loader::new(Target::user().unverified()).load_resolved(tail_calls_itself()).unwrap();
    let map = loaded.map("again").unwrap().clone();
    let main = loaded.program("main").unwrap();
    assert_eq!(main.run(&[0; 64]).unwrap().value, 7);
    let calls = main.run(&[0; 64]).unwrap().insns;
    let program = Arc::downgrade(main.handle().prog());

    let handle: UserProgram = main.handle().clone();
    let target = loaded.target().clone();
    drop(loaded);
    // User space still has the array: it still has its program.
    let run = TestRun { data: &[0; 64], cpu: 0 };
    assert_eq!(target.test_run(&handle, &run).unwrap().insns, calls);
    drop(map);
    // Nobody has it any more: it is empty, although the program uses it.
    assert_eq!(target.test_run(&handle, &run).unwrap().insns, 5);
    drop((handle, target));
    assert!(program.upgrade().is_none(), "the array keeps the program, and the program the array");
}
