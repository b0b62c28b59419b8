use crate::support::{allowed, map, xdp};
use alveary_abi::{AttachType, Errno};
use alveary_linux::sys::{
    BtfLoad, LinkCreate, LinkDetail, LinkUpdate, Object, PathFlags, ProgQuery, Target, btf_info, ids, link_detach,
    link_info, map_info, obj_get, open_id,
};
use std::{os::fd::AsFd, path::Path};

#[test]
fn an_object_is_found_by_id() {
    if !allowed("an_object_is_found_by_id") {
        return;
    }
    let made = map(2, 4, 4, 7);
    let info = made.info().expect("a description");
    assert_eq!((info.name.as_str(), info.max_entries), ("alveary_test", 7));
    assert!(ids(Object::Map).any(|id| id.is_ok_and(|id| id == info.id)));
    let again = open_id(Object::Map, info.id, 0, None).expect("the map");
    assert_eq!(map_info(again.as_fd()).expect("a description"), info);
}

#[test]
fn an_id_that_is_not_there_is_said() {
    if !allowed("an_id_that_is_not_there_is_said") {
        return;
    }
    let refused = open_id(Object::Prog, u32::MAX - 1, 0, None).expect_err("no such program");
    assert_eq!(refused.errno(), Errno::ENOENT);
    assert!(refused.to_string().contains("no object of this id"), "{refused}");
}

#[test]
fn the_kernels_types_are_told() {
    if !allowed("the_kernels_types_are_told") {
        return;
    }
    let first = ids(Object::Btf).next().expect("the kernel's").expect("an id");
    let fd = open_id(Object::Btf, first, 0, None).expect("the kernel's");
    let info = btf_info(fd.as_fd(), false).expect("a description");
    assert_eq!((info.name.as_str(), info.kernel, info.bytes.len()), ("vmlinux", true, 0));
}

#[test]
fn types_that_are_none_are_refused_with_the_log() {
    if !allowed("types_that_are_none_are_refused_with_the_log") {
        return;
    }
    let mut bytes = vec![0x9f, 0xeb, 1, 0, 24, 0, 0, 0];
    bytes.resize(24, 0);
    let refused = BtfLoad { bytes: &bytes, token: None }.load().expect_err("no strings");
    assert_eq!(refused.errno(), Errno::EINVAL);
    assert!(refused.log().contains("magic: 0xeb9f"), "{}", refused.log());
}

#[test]
fn a_path_that_is_not_there_is_said() {
    if !allowed("a_path_that_is_not_there_is_said") {
        return;
    }
    let refused = obj_get(Path::new("/sys/fs/bpf/alveary-nowhere"), PathFlags::default()).expect_err("no such path");
    assert!(refused.to_string().contains("`/sys/fs/bpf/alveary-nowhere`"), "{refused}");
}

/// A link to a hook of this test's own network namespace: flow dissectors and the like need no device.
#[test]
fn a_link_is_made_described_swapped_detached() {
    if !allowed("a_link_is_made_described_swapped_detached") {
        return;
    }
    let tests = std::thread::spawn(|| {
        // SAFETY: only this thread is moved, and it ends with the test.
        let moved = unsafe { libc::unshare(libc::CLONE_NEWNET) };
        if moved != 0 {
            eprintln!("SKIP a_link_is_made_described_swapped_detached: no network namespace can be made");
            return;
        }
        // The loopback device of the new namespace is number 1.
        let (one, two) = (xdp("r0 = 2\nexit"), xdp("r0 = 1\nexit"));
        let link = LinkCreate { flags: 2, ..LinkCreate::new(one.fd.as_fd(), Target::Device(1), AttachType::XDP) };
        let link = link.create().expect("a link");
        let info = link_info(link.as_fd()).expect("a description");
        assert_eq!(info.detail, LinkDetail::Xdp { ifindex: 1 });
        LinkUpdate { link: link.as_fd(), new: two.fd.as_fd(), old: Some(one.fd.as_fd()), flags: 0 }
            .update()
            .expect("the new program");
        assert_ne!(link_info(link.as_fd()).expect("a description").prog, info.prog);
        let query = ProgQuery { target: Target::Device(1), ty: AttachType::TCX_INGRESS, flags: 0 };
        assert!(query.query().expect("an answer").progs.is_empty());
        link_detach(link.as_fd()).expect("a link that can");
        assert_eq!(link_info(link.as_fd()).expect("a description").detail, LinkDetail::Xdp { ifindex: 0 });
    });
    tests.join().expect("the test");
}
