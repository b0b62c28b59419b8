//! A folder as `/sys/kernel/btf` is one.

use alveary_btf::{Btf, Builder, Kind, New, TypeId};
use alveary_isa::Endian;
use alveary_linux::modules;
use std::{env, fs, sync::Arc};

#[test]
fn modules_are_read_by_name_over_the_kernels_types_when_they_are_asked_for() {
    let folder = env::temp_dir().join(format!("alveary-modules-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let mut kernel = Builder::new(Endian::HOST);
    let int = kernel.add(&New::Int { name: "int", size: 4, bits: 32, signed: true, char: false, bool: false });
    let kernel = Arc::new(kernel.finish().unwrap());
    let all = modules::shown_in(folder.clone(), kernel.clone());
    // Written only now: nothing has been read yet.
    let module = |name: &str, ty: TypeId| {
        let mut b = Builder::over(kernel.clone());
        b.add(&New::Typedef { name: &format!("{name}_t"), ty });
        b.write()
    };
    fs::write(folder.join("vmlinux"), kernel.bytes()).unwrap();
    fs::write(folder.join("xfs"), module("xfs", int)).unwrap();
    fs::write(folder.join("ext4"), module("ext4", int)).unwrap();
    fs::write(folder.join("gone"), module("gone", TypeId(99))).unwrap();
    let names: Vec<&str> = all.all().iter().map(|module| &*module.name).collect();
    assert_eq!(names, ["ext4", "xfs"]);
    let ext4: &Btf = &all.all()[0].btf;
    assert_eq!(ext4.find("ext4_t", Kind::Typedef), Some(TypeId(2)));
    assert_eq!(ext4.c_name(int), "int");
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(all.all().len(), 2, "what was read stays");
}

#[test]
fn a_kernel_without_modules_has_none() {
    let kernel = Arc::new(Builder::new(Endian::HOST).finish().unwrap());
    assert!(modules::shown_in("/nowhere".into(), kernel).all().is_empty());
}
