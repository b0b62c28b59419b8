use super::*;
use crate::flags;

/// Definition, the kernel's error, expected and found.
#[test]
fn a_bad_definition_is_refused_with_what_was_expected_and_found() {
    let flagged = |ty, flags| MapDef { flags, ..def(ty, 4, 4, 1) };
    let cases = [
        (def(MapType::ARRAY, 8, 4, 1), "-EINVAL", "4", "8"),
        (def(MapType::ARRAY, 4, 0, 1), "-EINVAL", "at least 1", "0"),
        (def(MapType::ARRAY, 4, 4, 0), "-EINVAL", "at least 1", "0"),
        (def(MapType::HASH, 0, 4, 1), "-EINVAL", "at least 1", "0"),
        (def(MapType::PERCPU_ARRAY, 4, 32769, 1), "-E2BIG", "at most 32768 bytes", "32769 bytes"),
        (def(MapType::HASH, 4, 4 << 20, 1), "-E2BIG", "at most 4194255 bytes", "4194308 bytes"),
        (flagged(MapType::PERCPU_ARRAY, flags::BPF_F_MMAPABLE), "-EINVAL", "BPF_F_RDONLY", "BPF_F_MMAPABLE"),
        (flagged(MapType::HASH, 1 << 20), "-EINVAL", "BPF_F_NO_PREALLOC", "0x100000"),
        (
            flagged(MapType::HASH, flags::BPF_F_RDONLY | flags::BPF_F_WRONLY),
            "-EINVAL",
            "one of them",
            "BPF_F_RDONLY | BPF_F_WRONLY",
        ),
        (MapDef { extra: 5, ..def(MapType::ARRAY, 4, 4, 1) }, "-EINVAL", "0", "0x5"),
    ];
    for (def, kernel, expected, found) in cases {
        let error = create(&def, None, &env()).err().unwrap_or_else(|| panic!("{def:?} was taken"));
        assert_eq!(error.kernel.as_deref(), Some(kernel), "{error}");
        assert!(error.expected.as_deref().unwrap().contains(expected), "{error}");
        assert_eq!(error.found.as_deref(), Some(found), "{error}");
    }
}

#[test]
fn keys_and_values_of_the_wrong_size_are_refused() {
    for ty in [MapType::HASH, MapType::ARRAY, MapType::PERCPU_HASH, MapType::PERCPU_ARRAY] {
        let map = make(&def(ty, 4, 4, 4));
        assert_eq!(map.lookup(0, &[0; 3]), None);
        assert_eq!(map.update(0, &[0; 4], &[0; 5], 0), Err(Errno::EINVAL));
        assert_eq!(map.update(0, &[], &[0; 4], 0), Err(Errno::EINVAL));
        assert_eq!(map.write(&[0; 4], &[], 0), Err(Errno::EINVAL));
        assert_eq!(map.read(&[0; 4], &mut []), Err(Errno::EINVAL));
        assert_eq!(map.next_key(None, &mut [0; 5]), Err(Errno::EINVAL));
    }
}
