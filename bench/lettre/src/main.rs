// Sends copies of one message by lettre's pool of connections, one thread each.
//
// Usage:  lettre_client --file MESSAGE.eml --port N --messages N --connections C [--ca FILE]
use std::collections::HashMap;
use std::error::Error;

use lettre::address::Envelope;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::{extension::ClientId, PoolConfig};
use lettre::{SmtpTransport, Transport};

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let options: HashMap<&str, &str> = given.chunks_exact(2).map(|o| (o[0].as_str(), o[1].as_str())).collect();
    let number = |name, otherwise| options.get(name).map_or(Ok(otherwise), |n| n.parse::<usize>());
    let content = std::fs::read(options["--file"])?;
    let (messages, connections) = (number("--messages", 1000)?, number("--connections", 1)?);
    let tls = match options.get("--ca") {
        None => Tls::None,
        Some(ca) => Tls::Wrapper(
            TlsParameters::builder("127.0.0.1".into())
                .add_root_certificate(Certificate::from_pem(&std::fs::read(ca)?)?)
                .build()?,
        ),
    };
    let transport = SmtpTransport::builder_dangerous("127.0.0.1")
        .port(number("--port", 2525)? as u16)
        .hello_name(ClientId::Domain("client.example".into()))
        .tls(tls)
        .pool_config(PoolConfig::new().max_size(connections as u32))
        .build();
    let envelope = Envelope::new(Some("sender@example.com".parse()?), vec!["recipient@example.com".parse()?])?;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..connections)
            .map(|i| {
                let (transport, envelope, content) = (&transport, &envelope, &content);
                scope.spawn(move || {
                    for _ in 0..(messages + i) / connections {
                        transport.send_raw(envelope, content)?;
                    }
                    Ok::<_, lettre::transport::smtp::Error>(())
                })
            })
            .collect();
        for thread in threads {
            thread.join().expect("a thread panicked")?;
        }
        Ok(())
    })
}
