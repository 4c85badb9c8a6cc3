//! The rules for URLs of webhooks.

use std::net::IpAddr;

use domain::ports::webhook::WebhookRefused;
use reqwest::Url;

/// The longest URL, in characters.
const LONGEST: usize = 2_000;

/// A webhook's URL. It has no `Debug` output, because its path may be secret.
pub(crate) struct Target {
    pub(crate) url: Url,
    /// Whether the deployment exempts it from the rule that targets are public.
    pub(crate) exempt: bool,
}

impl Target {
    /// Accepts `url` if it is absolute, `https` (or `http` if exempt), without a user, a password and a fragment, and
    /// at most 2,000 characters long. This checks the text alone: its host may still be anywhere.
    ///
    /// # Errors
    /// [`WebhookRefused::Malformed`].
    pub(crate) fn parse(url: &str, private_targets: &PrivateTargets) -> Result<Self, WebhookRefused> {
        if url.chars().nth(LONGEST).is_some() {
            return Err(WebhookRefused::Malformed);
        }
        let url = Url::parse(url).map_err(|_| WebhookRefused::Malformed)?;
        let exempt = HostPort::of(&url).is_some_and(|place| private_targets.0.contains(&place));
        let scheme = url.scheme() == "https" || (exempt && url.scheme() == "http");
        if scheme && url.has_host() && is_anonymous(&url) && url.fragment().is_none() {
            Ok(Self { url, exempt })
        } else {
            Err(WebhookRefused::Malformed)
        }
    }

    /// The URL's host as the URL parser writes it: names in lower case and Punycode.
    pub(crate) fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// The host's address, if it is an address and not a name. The URL parser has normalised all spellings (decimal,
    /// octal, hexadecimal, shortened), so none of them passes as a name.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.host().trim_matches(['[', ']']).parse().ok()
    }
}

fn is_anonymous(url: &Url) -> bool {
    url.username().is_empty() && url.password().is_none()
}

/// The targets that need not be public: receivers in the operator's own network or on this machine.
#[derive(Debug)]
pub(crate) struct PrivateTargets(Vec<HostPort>);

impl PrivateTargets {
    /// Reads texts such as `receiver.internal:8443`, `10.0.0.7:80` or `[::1]:8080`.
    ///
    /// # Errors
    /// The place, counted from 1, of the first text that is not a host and a port.
    pub(crate) fn parse(texts: Vec<String>) -> Result<Self, usize> {
        let parsed = (1..).zip(texts).map(|(place, text)| HostPort::parse(&text).ok_or(place));
        parsed.collect::<Result<_, _>>().map(Self)
    }
}

/// A host and a port in the URL parser's form, so that equal places have equal texts.
#[derive(Debug, PartialEq, Eq)]
struct HostPort {
    host: String,
    port: u16,
}

impl HostPort {
    fn of(url: &Url) -> Option<Self> {
        Some(Self { host: url.host_str()?.to_owned(), port: url.port_or_known_default()? })
    }

    fn parse(text: &str) -> Option<Self> {
        let port: u16 = text.rsplit_once(':')?.1.parse().ok()?;
        let url = Url::parse(&format!("https://{text}/")).ok()?;
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && is_anonymous(&url);
        // Without its own port, as in `https://[::7]/`, the URL would have the scheme's.
        Self::of(&url).filter(|place| bare && place.port == port)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    fn exempt(texts: &[&str]) -> PrivateTargets {
        PrivateTargets::parse(texts.iter().map(|&text| text.to_owned()).collect()).expect("hosts and ports")
    }

    fn parse(url: &str) -> Option<Target> {
        Target::parse(url, &exempt(&["receiver.internal:8443", "127.0.0.1:80", "[::1]:8080"])).ok()
    }

    #[test]
    fn absolute_https_urls_are_taken() {
        for url in [
            "https://example.com",
            "https://example.com:8443/hooks/a%20b?token=x&y",
            "HTTPS://EXAMPLE.com/",
            "https://bücher.example/",
            "https://93.184.215.14/",
            "https://[2606:4700:4700::1111]:8443/",
        ] {
            assert!(parse(url).is_some_and(|target| !target.exempt), "{url}");
        }
    }

    #[test]
    fn other_urls_are_malformed() {
        for url in [
            "",
            "example.com",
            "/hooks",
            "//example.com/hooks",
            "https://",
            "https:///",
            "http://example.com/",
            "ftp://example.com/",
            "file:///etc/passwd",
            "data:,x",
            "https://user@example.com/",
            "https://user:password@example.com/",
            "https://:password@example.com/",
            "https://example.com/#",
            "https://example.com/#fragment",
            "https://example.com:99999/",
            "https://exa mple.com/",
            "https://256.1.1.1/",
            "https://1.2.3.4.5/",
            "https://[fe80::1%25eth0]/",
        ] {
            assert_eq!(Target::parse(url, &exempt(&[])).err(), Some(WebhookRefused::Malformed), "{url}");
        }
    }

    #[test]
    fn a_url_has_at_most_2000_characters() {
        let longest = format!("https://example.com/{}", "ä".repeat(1_980));
        assert!(parse(&longest).is_some());
        assert!(parse(&format!("{longest}a")).is_none());
    }

    #[test]
    fn an_address_is_seen_in_all_its_spellings() {
        for host in
            ["127.0.0.1", "2130706433", "0x7f000001", "017700000001", "0x7f.1", "127.1", "127.0.0.1.", "１２７.0.0.1"]
        {
            let target = parse(&format!("https://{host}:8443/")).expect(host);
            assert_eq!(target.address(), Some(Ipv4Addr::LOCALHOST.into()), "{host}");
        }
        for host in ["[::1]", "[0:0:0:0:0:0:0:1]", "[0000::0001]", "[::0.0.0.1]"] {
            let target = parse(&format!("https://{host}/")).expect(host);
            assert_eq!(target.address(), Some(Ipv6Addr::LOCALHOST.into()), "{host}");
        }
        for host in ["example.com", "localhost", "127.0.0.1.example.com", "a127.0.0.1a"] {
            assert_eq!(parse(&format!("https://{host}/")).expect(host).address(), None, "{host}");
        }
    }

    #[test]
    fn exempt_are_only_the_named_hosts_at_the_named_ports() {
        for url in [
            "http://receiver.internal:8443/hooks",
            "https://Receiver.Internal:8443/hooks",
            "http://127.0.0.1/",
            "http://2130706433:80/",
            "https://127.0.0.1:80/",
            "http://[0::1]:8080/",
        ] {
            assert!(parse(url).is_some_and(|target| target.exempt), "{url}");
        }
        for url in [
            "https://receiver.internal/",
            "https://receiver.internal:8444/",
            "https://other.receiver.internal:8443/",
            "https://receiver.internal.:8443/",
            "https://127.0.0.1/",
            "https://[::ffff:127.0.0.1]:80/",
        ] {
            assert!(parse(url).is_some_and(|target| !target.exempt), "{url}");
        }
        for url in ["http://receiver.internal/", "http://user@127.0.0.1/", "http://127.0.0.1/#", "ftp://127.0.0.1:80/"]
        {
            assert!(parse(url).is_none(), "{url}");
        }
    }

    #[test]
    fn an_exemption_that_is_not_a_host_and_a_port_is_named_by_its_place() {
        for text in [
            "",
            ":",
            "receiver",
            "receiver:",
            ":80",
            "receiver:http",
            "[::1]",
            "::1",
            "http://receiver:80",
            "u@receiver:80",
        ] {
            let texts = vec!["receiver:80".to_owned(), text.to_owned()];
            assert_eq!(PrivateTargets::parse(texts).err(), Some(2), "{text}");
        }
        for text in
            ["receiver/hooks:80", "receiver:80/hooks", "receiver:80?", "receiver:80#", "a,b:80,c:80", "receiver:70000"]
        {
            assert_eq!(PrivateTargets::parse(vec![text.to_owned()]).err(), Some(1), "{text}");
        }
    }

    proptest! {
        /// Every accepted text is an https URL.
        #[test]
        fn nothing_but_https_gets_through(text in "(https?:)?//?[a-z0-9.@:\\[\\]#/?%\\\\ ]{0,40}|\\PC{0,60}") {
            if let Ok(target) = Target::parse(&text, &exempt(&[])) {
                prop_assert_eq!(target.url.scheme(), "https");
                prop_assert!(is_anonymous(&target.url) && target.url.fragment().is_none() && !target.exempt);
                prop_assert!(!target.host().is_empty());
            }
        }

        #[test]
        fn every_address_is_seen_whatever_its_spelling(bits: u32, wide: u128) {
            let (narrow, wide) = (Ipv4Addr::from_bits(bits), Ipv6Addr::from_bits(wide));
            let mapped = narrow.to_ipv6_mapped();
            let spellings = [format!("{bits}"), format!("{bits:#x}"), format!("0{bits:o}"), narrow.to_string()];
            for host in spellings {
                let target = parse(&format!("https://{host}/")).expect("a URL");
                prop_assert_eq!(target.address(), Some(narrow.into()));
            }
            for address in [wide, mapped] {
                let target = parse(&format!("https://[{address}]/")).expect("a URL");
                prop_assert_eq!(target.address(), Some(address.into()));
            }
        }
    }

    /// An accepted URL is `https` unless exempt, has a single form, and its address is found if it has one.
    #[test]
    fn fuzz_webhook_target() {
        let words = [
            "https://",
            "http://",
            "@",
            "#",
            ":",
            "//",
            "\\",
            "127.0.0.1",
            "[::1]",
            "0x7f.1",
            "2130706433",
            "%31",
            "receiver.internal:8443",
            "。",
            "\t",
        ];
        let exempt = exempt(&["receiver.internal:8443", "127.0.0.1:80", "[::1]:8080"]);
        fuzz::Target::new("webhook_target", fuzz::Form::Bytes, &words).fuzz(|input| {
            let text = String::from_utf8_lossy(input);
            let place = HostPort::parse(&text);
            if let Some(place) = &place {
                assert_eq!(
                    HostPort::parse(&format!("{}:{}", place.host, place.port)).as_ref(),
                    Some(place),
                    "another place"
                );
            }
            let Ok(target) = Target::parse(&text, &exempt) else { return (place.is_some(), false, 0) };
            let url = target.url.as_str();
            assert!(url.starts_with("https://") || target.exempt && url.starts_with("http://"), "{url}");
            assert!(!url.contains('#') && target.url.username().is_empty() && target.url.password().is_none(), "{url}");
            assert_eq!(target.address().is_some(), target.url.domain().is_none(), "an address that is not seen: {url}");
            let host = target.host();
            assert!(
                !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic() && !b"/?@\\".contains(&byte)),
                "{host}"
            );
            let again = Target::parse(url, &exempt).map(|again| (again.url.as_str() == url, again.exempt));
            assert!(
                again == Ok((true, target.exempt)) || url.chars().nth(LONGEST).is_some(),
                "{url} is read otherwise"
            );
            (
                place.is_some(),
                target.exempt,
                1 + usize::from(target.address().is_some()) + 2 * usize::from(target.url.query().is_some()),
            )
        });
    }
}
