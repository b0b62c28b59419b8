//! What a user without privilege is told.

use crate::support::{allowed, insns};
use alveary_abi::{Errno, ProgType};
use alveary_linux::sys::{MapCreate, Object, ProgLoad, next_id};

/// Runs `what` in a thread that has given up every capability and root's user id.
fn as_nobody(test: &str, what: impl FnOnce() + Send + 'static) {
    let test = test.to_owned();
    std::thread::spawn(move || {
        // SAFETY: the system call, unlike the function, changes this thread alone; it ends with the test.
        let changed = unsafe { libc::syscall(libc::SYS_setresuid, 65534, 65534, 65534) };
        if changed == 0 { what() } else { eprintln!("SKIP {test}: the user cannot be changed") }
    })
    .join()
    .expect("the test");
}

#[test]
fn a_program_says_which_capabilities_it_takes() {
    const NAME: &str = "a_program_says_which_capabilities_it_takes";
    if !allowed(NAME) {
        return;
    }
    as_nobody(NAME, || {
        let code = insns("r0 = 2\nexit");
        let refused = ProgLoad::new(ProgType::XDP, &code).load().expect_err("no privilege");
        let why = refused.diagnostic();
        assert_eq!(refused.errno(), Errno::EPERM);
        assert_eq!(why.expected.as_deref(), Some("CAP_BPF and CAP_NET_ADMIN"), "{why:?}");
        assert_eq!(why.found.as_deref(), Some("this process lacks CAP_BPF and CAP_NET_ADMIN"), "{why:?}");
        assert!(why.help.iter().any(|help| help.contains("setcap cap_bpf,cap_net_admin+ep")), "{why:?}");
    });
}

#[test]
fn a_map_and_a_list_say_it_too() {
    const NAME: &str = "a_map_and_a_list_say_it_too";
    if !allowed(NAME) {
        return;
    }
    as_nobody(NAME, || {
        let map = MapCreate { map_type: 14, key_size: 4, value_size: 4, max_entries: 1, ..MapCreate::default() };
        let refused = map.create().expect_err("no privilege").diagnostic();
        assert_eq!(refused.expected.as_deref(), Some("CAP_BPF and CAP_NET_ADMIN"), "{refused:?}");
        let refused = next_id(Object::Prog, 0).expect_err("no privilege").diagnostic();
        assert_eq!(refused.expected.as_deref(), Some("CAP_SYS_ADMIN"), "{refused:?}");
    });
}
