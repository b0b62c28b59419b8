use crate::sys::{call, cpus};

#[test]
fn a_name_becomes_what_the_kernel_takes() {
    assert_eq!(&call::object_name("a-name.of_more than sixteen bytes"), b"a_name.of_more_\0");
    assert_eq!(call::object_name(""), [0; 16]);
}

#[test]
fn lists_of_cpus_are_counted() {
    for (list, count) in [("0", Some(1)), ("0-1", Some(2)), ("0-3,8,10-11", Some(7)), ("3-1", None), ("", None)] {
        assert_eq!(cpus::count(list), count, "{list}");
    }
}
