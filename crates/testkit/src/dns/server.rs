//! Answers from a [`Zone`] on 127.0.0.1, over UDP and TCP.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hickory_proto::op::{Message, Metadata};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;

use super::zone::{Answer, Zone};

/// RFC 1035 §4.2.1: longest message over UDP without EDNS.
const PLAIN_UDP: u16 = 512;
/// How often a port is looked for that is free for UDP and TCP alike.
const PORT_TRIES: usize = 20;

/// A DNS server, which ends when dropped.
#[derive(Debug)]
pub struct DnsServer {
    address: SocketAddr,
    knowledge: Arc<Mutex<Knowledge>>,
    _tasks: JoinSet<()>,
}

#[derive(Debug)]
struct Knowledge {
    zone: Zone,
    questions: Vec<String>,
}

impl Zone {
    /// Serves this zone on a free port of 127.0.0.1.
    pub async fn serve(self) -> DnsServer {
        let (udp, tcp) = sockets().await;
        let address = udp.local_addr().unwrap();
        let knowledge = Arc::new(Mutex::new(Knowledge {
            zone: self,
            questions: Vec::new(),
        }));
        let mut tasks = JoinSet::new();
        tasks.spawn(serve_udp(udp, Arc::clone(&knowledge)));
        tasks.spawn(serve_tcp(tcp, Arc::clone(&knowledge)));
        DnsServer {
            address,
            knowledge,
            _tasks: tasks,
        }
    }
}

impl DnsServer {
    /// Where it answers, over UDP and TCP.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Replaces all that it knows.
    pub fn replace(&self, zone: Zone) {
        lock(&self.knowledge).zone = zone;
    }

    /// What it was asked so far, such as `MX example.org.`
    #[must_use]
    pub fn questions(&self) -> Vec<String> {
        lock(&self.knowledge).questions.clone()
    }
}

async fn sockets() -> (UdpSocket, TcpListener) {
    for _ in 0..PORT_TRIES {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        // Someone may have the same port for TCP.
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
            return (udp, tcp);
        }
    }
    panic!("no port is free for UDP and TCP alike");
}

async fn serve_udp(socket: UdpSocket, knowledge: Arc<Mutex<Knowledge>>) {
    let mut buffer = [0; 4096];
    // A client that has gone shows as an error of the socket; the next one may be there.
    loop {
        let Ok((length, client)) = socket.recv_from(&mut buffer).await else {
            continue;
        };
        if let Some((reply, limit)) = reply(&buffer[..length], &knowledge) {
            let mut bytes = reply.to_vec().unwrap();
            if bytes.len() > usize::from(limit) {
                bytes = reply.truncate().to_vec().unwrap();
            }
            let _ = socket.send_to(&bytes, client).await;
        }
    }
}

async fn serve_tcp(listener: TcpListener, knowledge: Arc<Mutex<Knowledge>>) {
    let mut clients = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        clients.spawn(serve_client(stream, Arc::clone(&knowledge)));
    }
}

/// RFC 1035 §4.2.2: over TCP, two octets of length stand before each message.
async fn serve_client(mut stream: TcpStream, knowledge: Arc<Mutex<Knowledge>>) {
    while let Ok(length) = stream.read_u16().await {
        let mut question = vec![0; usize::from(length)];
        if stream.read_exact(&mut question).await.is_err() {
            return;
        }
        if let Some((reply, _)) = reply(&question, &knowledge) {
            let bytes = reply.to_vec().unwrap();
            let mut framed = u16::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
            framed.extend(bytes);
            if stream.write_all(&framed).await.is_err() {
                return;
            }
        }
    }
}

/// The reply, and how long the client takes it over UDP; none for silence.
fn reply(question: &[u8], knowledge: &Mutex<Knowledge>) -> Option<(Message, u16)> {
    let question = Message::from_vec(question).ok()?;
    let query = question.queries.first()?;
    let mut knowledge = lock(knowledge);
    let asked = format!("{} {}", query.query_type, query.name.to_lowercase());
    knowledge.questions.push(asked);

    let mut reply = Message::response(question.metadata.id, question.metadata.op_code);
    reply.metadata = Metadata::response_from_request(&question.metadata);
    reply.metadata.recursion_available = true;
    reply.add_query(query.clone());
    match knowledge.zone.answer(&query.name, query.query_type) {
        Answer::Records(records) => {
            reply.add_answers(records);
        }
        Answer::Code(code) => reply.metadata.response_code = code,
        Answer::Silence => return None,
    }
    let limit = question
        .edns
        .as_ref()
        .map_or(PLAIN_UDP, |edns| edns.max_payload());
    Some((reply, limit.max(PLAIN_UDP)))
}

fn lock(knowledge: &Mutex<Knowledge>) -> MutexGuard<'_, Knowledge> {
    knowledge.lock().unwrap_or_else(PoisonError::into_inner)
}
