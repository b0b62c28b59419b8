//! Balancers that take over what another one left.

use alveary::{LinuxMap, MapHandle, Object};
use alveary_lb::{
    config::Config,
    instance::{Instance, folder, stop},
};
use alveary_testing::{BpfFs, bpf};
use std::fs;

const CONFIG: &str = "[balancer]\ndevices = [\"lo\"]\nsource = \"192.0.2.1\"\nname = \"test\"\n
[limits]\nvips = 16\nreals = 16\nslots = 16384\nconnections = 1024\nconnections-per-cpu = 1024\n";

#[test]
fn maps_of_the_recorder_of_another_version_are_made_anew() {
    let test = "recorders_maps";
    if !bpf::permitted(test) {
        return;
    }
    let Some(bpffs) = BpfFs::mount(test) else { return };
    let bytes = fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/lb.bpf.o")).expect("the object");
    let object = Object::parse(&bytes[..]).expect("an object");
    let config = Config::read("test", CONFIG).expect("a configuration");
    let open = || Instance::open(&config, &bytes, &bpffs.path).map_err(|fault| format!("{fault:?}"));
    let no_device = Config { devices: Vec::new(), ..config.clone() };
    let mut begun = open().expect("it begins");
    begun.attach(&no_device).expect("nothing is attached");
    assert!(!begun.adopted);
    let at = |file: &str| folder(&bpffs.path, "test").join(file);
    let pinned = |map: &str, file: &str| LinuxMap::pinned(at(file), object.map_spec(map).expect("a map"));
    let recorder = || pinned(".data.recorder", "data-recorder").expect("the recorder's word");
    recorder().update(&[0; 4], &[1; 16], 0).expect("it is written");

    // The same version: the recorder goes on.
    let mut taken = open().expect("it takes over");
    taken.attach(&no_device).expect("nothing is attached");
    assert_eq!((taken.adopted, recorder().lookup(&[0; 4]).expect("read")), (true, Some(vec![1; 16])));

    // Another map where the matches were: what is recorded is asked anew.
    let other = pinned("verdicts", "verdicts").expect("a map");
    fs::remove_file(at("matches")).expect("it is there");
    other.pin(at("matches")).expect("another one is in its place");
    assert!(pinned("matches", "matches").is_err());
    let mut taken = open().expect("it takes over");
    taken.attach(&no_device).expect("nothing is attached");
    assert!(taken.adopted && pinned("matches", "matches").is_ok());
    assert_eq!(recorder().lookup(&[0; 4]).expect("read"), Some(vec![0; 16]), "nothing is recorded");
    assert!(stop(&bpffs.path, "test").expect("it ends"));
}
