//! Native code goes with its image. A program of its own: other tests map code at the same time.
#![cfg(all(any(target_arch = "x86_64", target_arch = "aarch64"), target_os = "linux"))]

mod support;

use alveary_vm::{Env, Exit, Image, Jit};
use support::*;

#[test]
fn ten_thousand_loads_and_unloads_leave_nothing_mapped() {
    let mappings = || {
        let maps = std::fs::read_to_string("/proc/self/maps").expect("Linux says what is mapped");
        maps.lines().filter(|line| line.contains("r-xp") && line.ends_with(" 0 ")).count()
    };
    let before = mappings();
    let jit = Jit::new(1 << 20).expect("there is one for this machine");
    let owner = Owner(vec![]);
    let code = owner.code(&[mov(0, 7), EXIT], &[0]);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..2_500 {
                    // SAFETY: the program accesses no memory.
                    let image = unsafe { Image::native(&code, &owner, &jit) }.expect("there is room");
                    assert_eq!(image.run(&Env::new(), 0, [0; 5], None), Ok(Exit::Return(7)));
                }
            });
        }
    });
    assert_eq!((mappings(), jit.in_use()), (before, 0));
}
