//! Decides which addresses are on the public internet.
//!
//! Addresses that are not are in RFC 6890 and in the registries that IANA keeps by it:
//! [IPv4](https://www.iana.org/assignments/iana-ipv4-special-registry) and
//! [IPv6](https://www.iana.org/assignments/iana-ipv6-special-registry). Multicast is not public either (RFC 5771, RFC
//! 4291). Blocks with single public addresses are refused as a whole: these are anycast services and not webhooks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Networks that are not public, with their prefix lengths in bits.
const NOT_PUBLIC_V4: [(Ipv4Addr, u32); 15] = [
    (Ipv4Addr::UNSPECIFIED, 8),           // "this network"; Linux takes 0.0.0.0 as itself
    (Ipv4Addr::new(10, 0, 0, 0), 8),      // private
    (Ipv4Addr::new(100, 64, 0, 0), 10),   // shared with a carrier's NAT
    (Ipv4Addr::new(127, 0, 0, 0), 8),     // loopback
    (Ipv4Addr::new(169, 254, 0, 0), 16),  // link-local, and with it the cloud's metadata and credentials
    (Ipv4Addr::new(172, 16, 0, 0), 12),   // private
    (Ipv4Addr::new(192, 0, 0, 0), 24),    // protocol assignments
    (Ipv4Addr::new(192, 0, 2, 0), 24),    // documentation
    (Ipv4Addr::new(192, 88, 99, 0), 24),  // relays of 6to4, withdrawn
    (Ipv4Addr::new(192, 168, 0, 0), 16),  // private
    (Ipv4Addr::new(198, 18, 0, 0), 15),   // benchmarks
    (Ipv4Addr::new(198, 51, 100, 0), 24), // documentation
    (Ipv4Addr::new(203, 0, 113, 0), 24),  // documentation
    (Ipv4Addr::new(224, 0, 0, 0), 4),     // multicast
    (Ipv4Addr::new(240, 0, 0, 0), 4),     // reserved, and broadcast
];

/// The IPv6 addresses that are assigned to hosts. Others are not public: loopback, unique local and link-local
/// addresses, multicast, the discard prefix, NAT64 with a local prefix, IPv4 addresses written as `::a.b.c.d` or
/// `::ffff:0:a.b.c.d`, and more.
const GLOBAL_UNICAST: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// Networks in [`GLOBAL_UNICAST`] that are not public.
const NOT_PUBLIC_V6: [(Ipv6Addr, u32); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23), // protocol assignments; of them Teredo leads to any IPv4 address
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // documentation
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16), // 6to4, which leads to any IPv4 address
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20), // documentation
];

/// Whether `address` is reachable from anywhere on the internet. Then a connection from inside the deployment's network
/// shows nothing that is not public.
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let within = |&(network, bits): &(Ipv4Addr, u32)| (address.to_bits() ^ network.to_bits()) >> (32 - bits) == 0;
    !NOT_PUBLIC_V4.iter().any(within)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(embedded) = embedded_v4(address) {
        return is_public_v4(embedded);
    }
    let within = |&(network, bits): &(Ipv6Addr, u32)| (address.to_bits() ^ network.to_bits()) >> (128 - bits) == 0;
    within(&GLOBAL_UNICAST) && !NOT_PUBLIC_V6.iter().any(within)
}

/// The IPv4 address that a connection to `address` really reaches, if it is one: the system maps `::ffff:a.b.c.d`, and
/// a NAT64 gateway maps `64:ff9b::a.b.c.d`, the form of public hosts in networks without IPv4.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.octets() {
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]
        | [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d] => Some(Ipv4Addr::new(a, b, c, d)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn public(address: &str) -> bool {
        is_public(address.parse().expect(address))
    }

    #[test]
    fn hosts_of_the_internet_are_public() {
        let addresses = [
            "1.1.1.1",
            "8.8.8.8",
            "93.184.215.14",
            "168.63.129.16",
            "2606:4700:4700::1111",
            "2001:4860:4860::8888",
            "2a00:1450:4001:80b::200e",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
        ];
        for address in addresses {
            assert!(public(address), "{address}");
        }
    }

    /// Each block's first and last address are refused, and the addresses next to it are public.
    #[test]
    fn ipv4_blocks_are_refused_from_end_to_end() {
        let blocks = [
            ("0.0.0.0", "0.255.255.255", None, Some("1.0.0.0")),
            ("10.0.0.0", "10.255.255.255", Some("9.255.255.255"), Some("11.0.0.0")),
            ("100.64.0.0", "100.127.255.255", Some("100.63.255.255"), Some("100.128.0.0")),
            ("127.0.0.0", "127.255.255.255", Some("126.255.255.255"), Some("128.0.0.0")),
            ("169.254.0.0", "169.254.255.255", Some("169.253.255.255"), Some("169.255.0.0")),
            ("172.16.0.0", "172.31.255.255", Some("172.15.255.255"), Some("172.32.0.0")),
            ("192.0.0.0", "192.0.0.255", Some("191.255.255.255"), Some("192.0.1.0")),
            ("192.0.2.0", "192.0.2.255", Some("192.0.1.255"), Some("192.0.3.0")),
            ("192.88.99.0", "192.88.99.255", Some("192.88.98.255"), Some("192.88.100.0")),
            ("192.168.0.0", "192.168.255.255", Some("192.167.255.255"), Some("192.169.0.0")),
            ("198.18.0.0", "198.19.255.255", Some("198.17.255.255"), Some("198.20.0.0")),
            ("198.51.100.0", "198.51.100.255", Some("198.51.99.255"), Some("198.51.101.0")),
            ("203.0.113.0", "203.0.113.255", Some("203.0.112.255"), Some("203.0.114.0")),
            ("224.0.0.0", "255.255.255.255", Some("223.255.255.255"), None),
        ];
        for (first, last, before, after) in blocks {
            assert!(!public(first) && !public(last), "{first} to {last}");
            for neighbour in before.into_iter().chain(after) {
                assert!(public(neighbour), "{neighbour}");
            }
        }
        assert!(!public("169.254.169.254"), "the metadata of the cloud");
    }

    /// Prefixes whose addresses are all refused.
    const REFUSED_V6: [(&str, u32); 15] = [
        ("::", 96),              // unspecified, loopback, IPv4-compatible
        ("::ffff:0:0:0", 96),    // IPv4-translated
        ("::ffff:7f00:0", 104),  // IPv4-mapped loopback
        ("64:ff9b::a00:0", 104), // NAT64 of a private network
        ("64:ff9b:1::", 48),     // NAT64, local
        ("100::", 64),           // discard
        ("2001::", 32),          // Teredo
        ("2001:2::", 48),        // benchmarks
        ("2001:db8::", 32),      // documentation
        ("2002::", 16),          // 6to4
        ("3fff::", 20),          // documentation
        ("fc00::", 7),           // unique local
        ("fe80::", 10),          // link-local
        ("fec0::", 10),          // site-local
        ("ff00::", 8),           // multicast
    ];

    #[test]
    fn ipv6_addresses_of_special_purposes_are_refused() {
        for address in ["::", "::1", "::8.8.8.8", "::ffff:169.254.169.254", "fd00:ec2::254", "5f00::1", "4000::1"] {
            assert!(!public(address), "{address}");
        }
        for (network, bits) in REFUSED_V6 {
            let first = network.parse::<Ipv6Addr>().expect(network).to_bits();
            let last = first | (u128::MAX >> bits);
            for address in [first, last] {
                assert!(!is_public(Ipv6Addr::from_bits(address).into()), "{}", Ipv6Addr::from_bits(address));
            }
        }
        for neighbour in ["2001:200::", "2001:db7:ffff::", "2001:db9::", "2003::", "3ffe:ffff::"] {
            assert!(public(neighbour), "{neighbour}");
        }
    }

    proptest! {
        /// An embedded IPv4 address decides, in both current notations.
        #[test]
        fn an_embedded_address_decides(bits: u32) {
            let plain = Ipv4Addr::from_bits(bits);
            let nat64 = Ipv6Addr::from_bits(0x0064_ff9b << 96 | u128::from(bits));
            prop_assert_eq!(is_public(plain.to_ipv6_mapped().into()), is_public(plain.into()));
            prop_assert_eq!(is_public(nat64.into()), is_public(plain.into()));
        }

        /// In deprecated notations even public IPv4 addresses are refused.
        #[test]
        fn deprecated_embeddings_are_refused(bits: u32, rest: u128) {
            let bits = u128::from(bits);
            for address in [bits, 0x2002 << 112 | bits << 80 | rest >> 48, 0x2001 << 112 | rest >> 32] {
                prop_assert!(!is_public(Ipv6Addr::from_bits(address).into()));
            }
        }

        /// An address that the standard library calls special is not public.
        #[test]
        fn no_special_ipv4_address_is_public(bits: u32) {
            let it = Ipv4Addr::from_bits(bits);
            let local = it.is_private() || it.is_loopback() || it.is_link_local() || it.is_unspecified();
            let special = it.is_multicast() || it.is_broadcast() || it.is_documentation();
            prop_assert!(!(local || special) || !is_public(it.into()));
        }

        #[test]
        fn nothing_in_a_refused_ipv6_network_is_public(
            (network, bits) in prop::sample::select(REFUSED_V6.as_slice()), rest: u128,
        ) {
            let network = network.parse::<Ipv6Addr>().expect("an address").to_bits();
            prop_assert!(!is_public(Ipv6Addr::from_bits(network | rest >> bits).into()));
        }

        /// Only global unicast addresses are public, besides embedded IPv4 addresses, which have 80 bits of zeros or
        /// the NAT64 prefix.
        #[test]
        fn ipv6_outside_of_global_unicast_is_refused(bits: u128) {
            let elsewhere = bits >> 125 != 0b001 && bits >> 48 != 0 && bits >> 32 != 0x0064_ff9b << 64;
            prop_assert!(!elsewhere || !is_public(Ipv6Addr::from_bits(bits).into()));
        }
    }
}
