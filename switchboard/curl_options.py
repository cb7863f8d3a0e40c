"""The options of curl: what says something about the request, what only about its transport, what takes a value."""

from __future__ import annotations


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_LETTERS = """
    X=request H=header d=data b=cookie u=user A=user-agent e=referer F=form r=range G=get I=head g=globoff
    K=config :=next T=upload-file n=netrc z=time-cond C=continue-at
    o=output x=proxy U=proxy-user m=max-time E=cert c=cookie-jar w=write-out D=dump-header Y=speed-limit y=speed-time
    s=silent S=show-error L=location k=insecure v=verbose i=include f=fail N=no-buffer O=remote-name
    J=remote-header-name R=remote-time 0=http1.0 1=tlsv1 2=sslv2 3=sslv3 4=ipv4 6=ipv6 #=progress-bar a=append
    B=use-ascii j=junk-session-cookies p=proxytunnel q=disable Z=parallel
"""
SHORT = {pair[0]: pair[2:] for pair in _LETTERS.split()}

VALUES = _names(
    """request header data data-ascii data-raw data-binary data-urlencode json cookie user user-agent referer url form
    form-string url-query range oauth2-bearer"""
)
FLAGS = _names("get head compressed globoff path-as-is")

_FILE = "what it names is not read here; write the request's own options"
_MADE = "the credential is made in answer to the server or by a signature; give it with -H 'Authorization: ...'"
REFUSED = {
    "config": _FILE,
    "netrc": _FILE,
    "netrc-file": _FILE,
    "netrc-optional": _FILE,
    "upload-file": _FILE,
    "variable": _FILE,
    "etag-compare": _FILE,
    "next": "one request at a time is explained",
    "time-cond": "give the field itself with -H 'If-Modified-Since: ...'",
    "continue-at": "give the field itself with -H 'Range: ...'",
    "request-target": "the target is taken from the URL",
    "anyauth": _MADE,
    "digest": _MADE,
    "negotiate": _MADE,
    "ntlm": _MADE,
    "ntlm-wb": _MADE,
    "aws-sigv4": _MADE,
}

TRANSPORT_VALUES = _names(
    """abstract-unix-socket alt-svc cacert capath cert cert-type ciphers connect-timeout connect-to cookie-jar
    create-file-mode crlfile curves dns-interface dns-ipv4-addr dns-ipv6-addr dns-servers doh-url dump-header ech
    egd-file engine etag-save expect100-timeout happy-eyeballs-timeout-ms hsts interface ip-tos ipfs-gateway
    keepalive-cnt keepalive-time key key-type libcurl limit-rate local-port max-filesize max-redirs max-time noproxy
    output output-dir parallel-max pass pinnedpubkey preproxy proto proto-default proto-redir proxy proxy-cacert
    proxy-capath proxy-cert proxy-cert-type proxy-ciphers proxy-crlfile proxy-header proxy-key proxy-key-type
    proxy-pass proxy-pinnedpubkey proxy-service-name proxy-tls13-ciphers proxy-user proxy1.0 random-file rate resolve
    retry retry-delay retry-max-time service-name socks4 socks4a socks5 socks5-hostname speed-limit speed-time stderr
    tls-max tls13-ciphers trace trace-ascii trace-config unix-socket vlan-priority write-out"""
)
TRANSPORT_FLAGS = _names(
    """alpn append basic buffer ca-native cert-status clobber create-dirs disable doh-cert-status doh-insecure fail
    fail-early fail-with-body false-start haproxy-protocol http0.9 http1.0 http1.1 http2 http2-prior-knowledge http3
    http3-only ignore-content-length include insecure ipv4 ipv6 junk-session-cookies keepalive location
    location-trusted no-alpn no-buffer no-clobber no-keepalive no-npn no-progress-meter no-sessionid npn parallel
    parallel-immediate post301 post302 post303 progress-bar progress-meter proxy-anyauth proxy-basic proxy-ca-native
    proxy-digest proxy-http2 proxy-insecure proxy-negotiate proxy-ntlm proxy-tlsv1 proxytunnel raw remote-header-name
    remote-name remote-name-all remote-time remove-on-error retry-all-errors retry-connrefused sessionid show-error
    silent skip-existing ssl ssl-allow-beast ssl-no-revoke ssl-reqd sslv2 sslv3 styled-output
    suppress-connect-headers tcp-fastopen tcp-nodelay tls-earlydata tlsv1 tlsv1.0 tlsv1.1 tlsv1.2 tlsv1.3 tr-encoding
    trace-ids trace-time use-ascii verbose xattr"""
)


def takes_value(name: str) -> bool:
    """Return whether an option is followed by a value; of one that is not known nobody can say."""
    return name in VALUES or name in TRANSPORT_VALUES
