//! QUIC (quinn) and datagrams whose senders move: who names its real in each packet stays with it when its address changes;
//! who does not is somebody else's.

use crate::site::{PLAIN, QUIC, STABLE, Site};
use quinn::{ClientConfig, ConnectionId, ConnectionIdGenerator, Endpoint, EndpointConfig, ServerConfig, TokioRuntime};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};
use std::{
    collections::BTreeSet,
    hash::{BuildHasher, RandomState},
    net::{IpAddr, SocketAddr},
    sync::Arc,
    thread,
    time::Duration,
};

const MOVES: usize = 12;
const PATIENCE: Duration = Duration::from_secs(60);

/// Connection ids of a server, as Katran has them: version, the server's id, what nobody else can guess.
struct Ids {
    id: u32,
    count: u64,
    state: RandomState,
}

impl ConnectionIdGenerator for Ids {
    fn generate_cid(&mut self) -> ConnectionId {
        self.count += 1;
        let id = self.id.to_be_bytes();
        let mut bytes = match self.count % 3 {
            0 => vec![0x40 | id[2] >> 2, id[2] << 6 | id[3] >> 2, id[3] << 6],
            1 => vec![0x80, id[1], id[2], id[3]],
            _ => vec![0xc0, id[0], id[1], id[2], id[3]],
        };
        bytes.extend(self.state.hash_one(self.count).to_ne_bytes());
        bytes.resize(self.cid_len(), 0);
        ConnectionId::new(&bytes)
    }

    fn cid_len(&self) -> usize {
        13
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

/// A server that says its number on each stream.
fn serve(site: &Site, number: usize, port: u16, certificate: &CertificateDer<'static>, key: &[u8]) {
    let socket = site.socket(site.reals[number], &format!("10.0.{}.2:{port}", number + 1));
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.to_vec()));
    let server = ServerConfig::with_single_cert(vec![certificate.clone()], key).expect("a certificate and its key");
    let mut config = EndpointConfig::default();
    let id = number as u32 + 1;
    config.cid_generator(move || Box::new(Ids { id, count: 0, state: RandomState::new() }));
    let endpoint = Endpoint::new(config, Some(server), socket, Arc::new(TokioRuntime)).expect("an endpoint");
    tokio::spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            tokio::spawn(async move {
                let Ok(connection) = incoming.await else { return };
                while let Ok((mut send, mut receive)) = connection.accept_bi().await {
                    // Who goes away meanwhile has no answer.
                    let _ = receive.read_to_end(16).await;
                    let _ = send.write_all(&[number as u8]).await;
                    let _ = send.finish();
                }
            });
        }
    });
}

/// Asks a connection's server which one it is; `None`: nobody answers.
async fn ask(connection: &quinn::Connection) -> Option<u8> {
    let (mut send, mut receive) = connection.open_bi().await.ok()?;
    send.write_all(b"who?").await.ok()?;
    send.finish().ok()?;
    receive.read_to_end(16).await.ok()?.first().copied()
}

/// Opens a connection, and moves it to other ports again and again: its server, and whether that answered to the end.
async fn moved(site: &Site, port: u16, client: &ClientConfig) -> (u8, bool) {
    let new = || site.socket(site.client, "10.0.0.2:0");
    let endpoint = Endpoint::new(EndpointConfig::default(), None, new(), Arc::new(TokioRuntime)).expect("an endpoint");
    let to = SocketAddr::new(IpAddr::from([192, 0, 2, 1]), port);
    let connection = endpoint.connect_with(client.clone(), to, "quic.example").expect("it begins").await;
    let connection = connection.expect("a connection");
    let first = ask(&connection).await.expect("an answer");
    for _ in 0..MOVES {
        endpoint.rebind(new()).expect("another port");
        match ask(&connection).await {
            Some(who) => assert_eq!(who, first, "nobody else has its keys"),
            None => return (first, false),
        }
    }
    (first, true)
}

#[test]
fn connections_of_quic_move_and_stay_with_their_reals() {
    let Some(site) = Site::new("lb_quic") else { return };
    let made = rcgen::generate_simple_self_signed(vec!["quic.example".to_owned()]).expect("a certificate");
    let (certificate, key) = (made.cert.der().clone(), made.signing_key.serialize_der());
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).expect("a certificate");
    let mut client = ClientConfig::with_root_certificates(Arc::new(roots)).expect("a client");
    let mut transport = quinn::TransportConfig::default();
    // What is lost is lost after that.
    transport.max_idle_timeout(Some(Duration::from_secs(5).try_into().expect("a time")));
    client.transport_config(Arc::new(transport));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        for (number, port) in [(0, QUIC), (1, QUIC), (0, PLAIN), (1, PLAIN)] {
            serve(&site, number, port, &certificate, &key);
        }
        let mut servers = BTreeSet::new();
        let mut connections = 0;
        while servers.len() < 2 || connections < 8 {
            connections += 1;
            assert!(connections < 64, "one real has them all");
            let moved = tokio::time::timeout(PATIENCE, moved(&site, QUIC, &client)).await.expect("it goes on");
            assert!(moved.1, "connection {connections} is lost with its ids");
            servers.insert(moved.0);
        }
        assert!(site.event("by-id") >= (connections * MOVES) as u64);
        assert_eq!(site.event("unknown-id"), 0);

        // Without ids another port is another flow: of some the real is another one.
        let mut lost = false;
        for _ in 0..16 {
            lost |= !tokio::time::timeout(PATIENCE, moved(&site, PLAIN, &client)).await.expect("it ends").1;
            if lost {
                break;
            }
        }
        assert!(lost, "all of 16 connections kept their reals, whatever port they had");
    });
}

#[test]
fn datagrams_that_name_their_real_get_there_from_anywhere() {
    let Some(site) = Site::new("lb_stable") else { return };
    for (number, node) in site.reals.into_iter().enumerate() {
        let socket = site.socket(node, &format!("10.0.{}.2:{STABLE}", number + 1));
        thread::spawn(move || {
            let mut bytes = [0; 64];
            while let Ok((_, from)) = socket.recv_from(&mut bytes) {
                // Who has ended needs none.
                let _ = socket.send_to(&[number as u8], from);
            }
        });
    }
    let to = SocketAddr::new(IpAddr::from([192, 0, 2, 1]), STABLE);
    let who = |payload: &[u8]| {
        let socket = site.socket(site.client, "10.0.0.2:0");
        socket.set_read_timeout(Some(PATIENCE)).expect("patience");
        socket.send_to(payload, to).expect("sent");
        let mut byte = [9];
        socket.recv(&mut byte).expect("an answer");
        byte[0]
    };
    for (id, number) in [(1, 0), (2, 1)] {
        let all: BTreeSet<u8> = (0..20).map(|_| who(&[0x52, 0, 0, id, 0, 0, 0, 0, b'x'])).collect();
        assert_eq!(all, [number].into(), "the real {id}");
    }
    let all: BTreeSet<u8> = (0..40).map(|_| who(b"nothing is named")).collect();
    assert_eq!(all, [0, 1].into(), "who names nobody goes by its ports");
}
