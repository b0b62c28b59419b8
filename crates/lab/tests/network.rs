//! Networks that packets go through.

use alveary_diag::Diagnostic;
use alveary_lab::{Network, Node, Shape};
use alveary_testing::bpf;
use std::{net::UdpSocket, os::fd::AsFd, process::Command, time::Duration};

fn socket(network: &Network, node: Node, address: &str) -> UdpSocket {
    let socket = network.at(node, || UdpSocket::bind(address)).expect("a thread").expect("a socket");
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a time");
    socket
}

/// Three nodes in a row: a link, a pair.
fn row() -> Result<(Network, [Node; 3], usize), Diagnostic> {
    let mut network = Network::new();
    let nodes @ [west, middle, east] = [network.node("west")?, network.node("middle")?, network.node("east")?];
    let link = network.link([(west, "middle"), (middle, "west")], Shape::default())?;
    network.pair([(middle, "east"), (east, "middle")])?;
    network.address(west, "middle", "fc00:1::1/64")?;
    network.address(middle, "west", "fc00:1::2/64")?;
    network.address(middle, "east", "fc00:2::2/64")?;
    network.address(east, "middle", "fc00:2::3/64")?;
    network.route(west, "fc00:2::/64", "middle", Some("fc00:1::2"))?;
    network.route(east, "fc00:1::/64", "middle", Some("fc00:2::2"))?;
    Ok((network, nodes, link))
}

#[test]
fn packets_go_from_node_to_node_and_back() {
    if !bpf::permitted("packets_go_from_node_to_node") {
        return;
    }
    let (network, [west, _, east], link) = row().expect("a network");
    let (here, there) = (socket(&network, west, "[fc00:1::1]:7"), socket(&network, east, "[fc00:2::3]:8"));
    network.carrier(link).record(1000);
    let mut buffer = [0; 64];
    for number in 0..100u8 {
        here.send_to(&[number; 9], "[fc00:2::3]:8").expect("sent");
        let (len, from) = there.recv_from(&mut buffer).expect("a packet");
        assert_eq!((&buffer[..len], from.to_string()), (&[number; 9][..], "[fc00:1::1]:7".to_owned()));
        there.send_to(&buffer[..len], from).expect("sent");
        assert_eq!(here.recv(&mut buffer).expect("the answer"), 9);
    }
    let carried = [0, 1].map(|end| network.carrier(link).carried(end));
    assert!(carried.iter().all(|way| (way.packets, way.dropped) == (100, 0)), "{carried:?}");
    let ends: Vec<usize> = network.carrier(link).recorded().into_iter().map(|(end, _)| end).collect();
    assert_eq!(ends, [0, 1].repeat(100), "nodes say nothing of their own");
    network.carrier(link).lose(1.0);
    here.send_to(&[1], "[fc00:2::3]:8").expect("sent");
    here.send_to(&[2], "[fc00:2::3]:8").expect("sent");
    while network.carrier(link).carried(0).dropped < 2 {
        std::thread::yield_now();
    }
    network.carrier(link).lose(0.0);
    network.carrier(link).record(1);
    here.send_to(&[3], "[fc00:2::3]:8").expect("sent");
    assert_eq!(there.recv(&mut buffer).expect("a packet"), 1);
    assert_eq!(buffer[0], 3, "the first two were lost");
    let kept = network.carrier(link).recorded();
    assert!(kept.len() == 1 && kept[0].0 == 0 && kept[0].1.ends_with(&[3]) && kept[0].1[0] >> 4 == 6, "{kept:?}");
}

#[test]
fn nothing_stays() {
    if !bpf::permitted("nothing_stays") {
        return;
    }
    let (network, [west, ..], _) = row().expect("a network");
    let (_, command) = network.entrances().swap_remove(0);
    let words: Vec<&str> = command.split(' ').collect();
    let listed = |words: &[&str]| Command::new(words[0]).args(&words[1..]).args(["ip", "-o", "link"]).output();
    let text = String::from_utf8(listed(&words).expect("nsenter").stdout).expect("text");
    assert!(text.contains(": middle:") && text.contains(": lo:"), "{text}");
    let watched = network.namespace(west).as_fd().try_clone_to_owned().expect("a descriptor");
    drop(network);
    // The namespace lives on by this descriptor alone, without the link's device.
    let words =
        ["nsenter", &format!("--net=/proc/{}/fd/{}", std::process::id(), std::os::fd::AsRawFd::as_raw_fd(&watched))];
    let text = String::from_utf8(listed(&words).expect("nsenter").stdout).expect("text");
    assert!(text.contains(": lo:") && !text.contains("middle"), "{text}");
}

#[test]
fn what_cannot_be_is_said() {
    if !bpf::permitted("what_cannot_be_is_said") {
        return;
    }
    let (network, [west, ..], _) = row().expect("a network");
    let told = |done: Result<(), Diagnostic>| done.expect_err("an error").message.to_string();
    assert_eq!(told(network.address(west, "nowhere", "fc00::1/64")), "there is no device `nowhere`");
    assert_eq!(told(network.address(west, "middle", "fc00::1/129")), "`fc00::1/129` is no prefix");
    assert_eq!(told(network.address(west, "middle", "x")), "`x` is no address");
    assert_eq!(
        told(network.route(west, "fc00:9::/64", "middle", Some("fc00:77::1"))),
        "the route to fc00:9::/64 cannot be added"
    );
}
