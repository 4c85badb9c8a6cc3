//! URLs to targets outside the public internet are refused when they are set and when they are used.

use super::*;

const PUBLIC: &str = "93.184.215.14";

async fn assert_refused(webhooks: &HttpWebhooks, url: &str, refused: WebhookRefused) {
    assert_eq!(check(webhooks, url).await, Err(refused), "{url}");
    assert_eq!(send(webhooks, url, "n-1", 0).await, Err(WebhookError::Refused(refused)), "{url}");
}

#[tokio::test]
async fn private_hosts_are_refused_in_every_spelling() {
    let receiver = Silence::new();
    let webhooks = exempting(&[]);
    for host in [
        "127.0.0.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
        "localhost",
        "LOCALHOST",
        "169.254.169.254",
        "[fd00:ec2::254]",
        "10.0.0.1",
    ] {
        let url = format!("https://{host}:{}{PATH}", receiver.port());
        assert_refused(&webhooks, &url, WebhookRefused::Private).await;
    }
    assert!(receiver.was_left_alone());
}

#[tokio::test]
async fn a_name_is_refused_when_any_of_its_addresses_is_private() {
    let receiver = Silence::new();
    let url = format!("https://receiver.example:{}{PATH}", receiver.port());
    for addresses in [
        &["127.0.0.1"][..],
        &["::ffff:127.0.0.1"],
        &[PUBLIC, "127.0.0.1"],
        &["127.0.0.1", PUBLIC],
        &["2606:4700:4700::1111", PUBLIC, "fd00::7"],
    ] {
        assert_refused(&looking_up(&[addresses; 2]), &url, WebhookRefused::Private).await;
    }
    assert!(receiver.was_left_alone());
}

#[tokio::test]
async fn a_name_with_public_addresses_only_may_be_a_webhooks() {
    let webhooks = looking_up(&[&[PUBLIC, "2606:4700:4700::1111"]]);
    assert_eq!(check(&webhooks, &format!("https://receiver.example{PATH}")).await, Ok(()));
    assert_eq!(check(&webhooks, &format!("https://{PUBLIC}{PATH}")).await, Ok(()));
}

/// Its owner answers the check with a public address, and then with one that is not.
#[tokio::test]
async fn a_name_that_changes_its_address_after_the_check_is_refused() {
    let receiver = Silence::new();
    let url = format!("https://rebinding.example:{}{PATH}", receiver.port());
    let webhooks = looking_up(&[&[PUBLIC], &["127.0.0.1"]]);
    assert_eq!(check(&webhooks, &url).await, Ok(()));
    assert_eq!(send(&webhooks, &url, "n-1", 0).await, Err(WebhookError::Refused(WebhookRefused::Private)));
    assert!(receiver.was_left_alone());
}

/// The connection uses the addresses of its only lookup. There is no second lookup with other addresses.
#[tokio::test]
async fn a_message_asks_for_addresses_once() {
    let script = Arc::new(Script(Mutex::new(vec![Vec::new(), vec!["127.0.0.1".parse().expect("an address")]])));
    let lookup: Arc<dyn Lookup> = script.clone();
    let webhooks = HttpWebhooks::with(Vec::new(), &lookup, PATIENT).expect("the system has certificate authorities");
    let sent = send(&webhooks, &format!("https://receiver.example{PATH}"), "n-1", 0).await;
    assert_eq!(sent, Err(WebhookError::Refused(WebhookRefused::Unresolved)));
    assert_eq!(script.0.lock().expect("not poisoned").len(), 1);
}

#[tokio::test]
async fn a_name_without_addresses_is_refused() {
    let url = format!("https://receiver.example{PATH}");
    assert_refused(&looking_up(&[]), &url, WebhookRefused::Unresolved).await;
    assert_refused(&looking_up(&[&[], &[]]), &url, WebhookRefused::Unresolved).await;
}

/// A lookup that never ends.
struct Endless;

#[async_trait]
impl Lookup for Endless {
    async fn addresses(&self, _host: &str) -> io::Result<Vec<IpAddr>> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_lookup_that_never_ends_is_not_waited_for() {
    let webhooks = with(&[], Endless, IMPATIENT);
    let url = format!("https://receiver.example{PATH}");
    assert_eq!(check(&webhooks, &url).await, Err(WebhookRefused::Unresolved));
    assert_eq!(send(&webhooks, &url, "n-1", 0).await, Err(WebhookError::NoAnswer("it took too long")));
}

#[tokio::test]
async fn an_exemption_holds_for_its_own_port_only() {
    let (exempt, other) = (Silence::new(), Silence::new());
    let webhooks = exempting(&[&exempt.place()]);
    for scheme in ["http", "https"] {
        assert_eq!(check(&webhooks, &format!("{scheme}://{}{PATH}", exempt.place())).await, Ok(()));
    }
    assert_refused(&webhooks, &format!("https://{}{PATH}", other.place()), WebhookRefused::Private).await;
    assert_refused(&webhooks, &format!("http://{}{PATH}", other.place()), WebhookRefused::Malformed).await;
    let alias = format!("https://localhost:{}{PATH}", exempt.port());
    assert_refused(&webhooks, &alias, WebhookRefused::Private).await;
    assert!(exempt.was_left_alone() && other.was_left_alone());
}

#[tokio::test]
async fn a_malformed_url_is_refused() {
    let long = format!("https://receiver.example/{}", "a".repeat(2_000));
    let urls =
        ["http://receiver.example", "https://canary:canary@receiver.example", "https://receiver.example/#canary"];
    for url in urls.into_iter().chain([PATH, long.as_str()]) {
        assert_refused(&looking_up(&[&[PUBLIC]]), url, WebhookRefused::Malformed).await;
    }
}
