//! A container that holds too much else to be listed as a whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use streamgauge::config::types::{BlobAuth, CheckpointStrategy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::store::*;

/// A store that answers as the service does, with these blobs (name, content) behind more pages of others than anybody reads.
struct Crowded {
    port: u16,
    accepting: JoinHandle<()>,
}

impl Crowded {
    async fn start(blobs: &[(&str, &str)]) -> Self {
        let owned = blobs
            .iter()
            .map(|(name, content)| ((*name).to_owned(), (*content).to_owned()));
        let blobs: Arc<BTreeMap<String, String>> = Arc::new(owned.collect());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&blobs)));
            }
        });
        Self { port, accepting }
    }
}

impl Drop for Crowded {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(mut stream: TcpStream, blobs: Arc<BTreeMap<String, String>>) {
    let mut heard = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(1..) = stream
        .read(&mut buffer)
        .await
        .inspect(|n| heard.extend(&buffer[..*n]))
    {
        let text = String::from_utf8_lossy(&heard).into_owned();
        if !text.ends_with("\r\n\r\n") {
            continue;
        }
        heard.clear();
        let target = text.split(' ').nth(1).unwrap_or_default();
        let (status, body) = answer(target, &blobs);
        let head = format!(
            "HTTP/1.1 {status}\r\ndate: Mon, 23 Nov 2026 16:00:05 GMT\r\netag: 1\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        if stream.write_all((head + &body).as_bytes()).await.is_err() {
            return;
        }
    }
}

fn answer(target: &str, blobs: &BTreeMap<String, String>) -> (&'static str, String) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let query: BTreeMap<String, String> = url::form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect();
    if !query.contains_key("comp") {
        let name = path.trim_start_matches("/a/checkpoints/");
        let name = percent_encoding::percent_decode_str(name).decode_utf8_lossy();
        return match blobs.get(&*name) {
            Some(content) => ("200 OK", content.clone()),
            None => ("404 No\r\nx-ms-error-code: BlobNotFound", String::new()),
        };
    }
    let prefix = query.get("prefix").map(String::as_str).unwrap_or_default();
    let next = if prefix.is_empty() { "more" } else { "" };
    let listed = blobs
        .keys()
        .filter(|name| !prefix.is_empty() && name.starts_with(prefix));
    let listed: String = listed
        .map(|name| {
            format!(
                "<Blob><Name>{name}</Name><Properties><Etag>1</Etag></Properties><Metadata>\
                 <sequencenumber>7</sequencenumber></Metadata></Blob>"
            )
        })
        .collect();
    let page = format!(
        "<EnumerationResults><Blobs>{listed}</Blobs><NextMarker>{next}</NextMarker></EnumerationResults>"
    );
    ("200 OK", page)
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_container_with_too_much_else_the_group_is_found_by_its_prefixes() {
    let go = r#"{"partitionID":"0","checkpoint":{"offset":"9","sequenceNumber":7}}"#;
    let top = r#"{"Offset":"9","SequenceNumber":7,"PartitionId":"0"}"#;
    let path = format!("{NAMESPACE}/{HUB}/{GROUP}");
    let metadata = format!("{}/checkpoint/0", path.to_lowercase());
    let secret = SecretFile::new("sig=x");
    for (name, content, strategy, most) in [
        (metadata.as_str(), "", CheckpointStrategy::BlobMetadata, 1),
        (
            &format!("{path}/0"),
            top,
            CheckpointStrategy::AzureFunction,
            1,
        ),
        (
            &format!("dapr-{HUB}-{GROUP}-0"),
            go,
            CheckpointStrategy::Dapr,
            1,
        ),
        (
            &format!("{}/0", GROUP.to_lowercase()),
            top,
            CheckpointStrategy::Legacy,
            1,
        ),
        // Its names have no prefix: those of the others are listed, and it is asked by name.
        ("0", go, CheckpointStrategy::GoSdk, 20),
    ] {
        let server = Crowded::start(&[(name, content)]).await;
        for strategy in [CheckpointStrategy::Auto, strategy] {
            let mut config = config(BlobAuth::Sas(secret.secret()));
            config.account_url = Some(format!("http://127.0.0.1:{}/a", server.port));
            config.strategy = strategy;
            let store = reader(&config);
            for _ in 0..3 {
                let (committed, _) = read_counted(&store, 4).await;
                assert_eq!(
                    positions(&committed),
                    [("0", 7)].into(),
                    "{name} {strategy:?}"
                );
            }
            let (_, requests) = read_counted(&store, 4).await;
            assert!(requests <= most, "{name} {strategy:?}: {requests} requests");
        }
    }
}
