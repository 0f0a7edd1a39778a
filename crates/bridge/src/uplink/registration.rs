//! Register and Update (contract, section 2.5). What else happens to a registration is the job of
//! [`super::lifecycle`].

use engine::{Device, RegisteredInfo};
use lwm2m::registration::ObjectLinks;

use super::Writer;
use crate::bridge::Bridge;
use crate::contract::Channel;
use crate::json;
use crate::publication::Publication;

/// Members of `data` that have a place of their own, whatever a device calls its parameters.
const OWN_MEMBERS: [&str; 5] = ["ep", "lt", "lwm2m", "alternatePath", "objectList"];

/// Query parameters that are secrets: never published (design, section 6). Compared without regard
/// to case, `-` and `_`.
const SECRETS: [&str; 15] = [
    "password",
    "passwd",
    "passcode",
    "passphrase",
    "secret",
    "token",
    "accesstoken",
    "refreshtoken",
    "idtoken",
    "jwt",
    "jwk",
    "apikey",
    "apisecret",
    "privatekey",
    "clientsecret",
];

impl Bridge {
    pub(super) fn registration(
        &mut self,
        message: &str,
        channel: Channel,
        device: &Device,
        out: &mut Vec<Publication>,
    ) {
        let mut writer = Writer::of_device(self, device);
        writer.raw("{\"msgType\":\"");
        writer.raw(message);
        writer.raw("\",\"data\":{\"ep\":");
        json::push_string(writer.json, device.endpoint.as_str());
        push_info(writer.json, &device.info);
        writer.raw("}}");
        writer.publish(channel, out);
    }
}

fn push_info(out: &mut Vec<u8>, info: &RegisteredInfo) {
    out.extend_from_slice(b",\"lt\":");
    json::push_integer(out, info.lifetime.as_secs());
    if let Some(version) = info.parameters.value("lwm2m") {
        out.extend_from_slice(b",\"lwm2m\":");
        json::push_string(out, version);
    }
    if let Some(links) = &info.links {
        out.extend_from_slice(b",\"alternatePath\":");
        json::push_string(out, links.alternate_path());
        push_object_list(out, links);
    }
    for (name, value) in info.parameters.iter().filter(|(name, _)| is_published(name)) {
        out.push(b',');
        json::push_string(out, name);
        out.push(b':');
        // `Q` has no value, and an empty text is what EMQX would make of `Q=`.
        json::push_string(out, value.unwrap_or_default());
    }
}

fn push_object_list(out: &mut Vec<u8>, links: &ObjectLinks) {
    out.extend_from_slice(b",\"objectList\":[");
    for (number, link) in links.object_list().enumerate() {
        if number > 0 {
            out.push(b',');
        }
        json::push_string(out, link);
    }
    out.push(b']');
}

fn is_published(name: &str) -> bool {
    !OWN_MEMBERS.contains(&name) && !SECRETS.iter().any(|secret| same_name(name, secret))
}

fn same_name(name: &str, secret: &str) -> bool {
    let letters = name.bytes().filter(|byte| !matches!(byte, b'-' | b'_'));
    letters.map(|byte| byte.to_ascii_lowercase()).eq(secret.bytes())
}
