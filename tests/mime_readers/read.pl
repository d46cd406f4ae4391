# Reads messages, one a line in hexadecimal, with Email::MIME; prints for each what it finds, in the same way as check.py
# expects it: `key value` lines, then `end`.
use strict;
use warnings;
use Email::MIME;

sub say_hex { my ($key, $octets) = @_; print "$key ", unpack("H*", $octets), "\n"; }
sub utf8_of { my ($text) = @_; utf8::encode($text); return $text; }

sub walk {
    my ($part) = @_;
    my $type = $part->content_type // "text/plain";
    my $disposition = $part->header("Content-Disposition") // "";
    if ($type =~ m{^multipart/}) { walk($_) for $part->subparts; return; }
    if ($type =~ m{^message/rfc822}) { say_hex("nested", Email::MIME->new($part->body_raw)->header("Subject")); return; }
    if ($disposition eq "") { say_hex($type =~ m{^text/html} ? "html" : "text", $part->body); return; }
    my $id = $part->header("Content-ID") // "";
    $id =~ s/^<|>$//g;
    say_hex("cid", $id);
    say_hex("name", utf8_of($part->filename // ""));
    say_hex("octets", $part->body);
}

while (my $line = <STDIN>) {
    chomp $line;
    my $message = Email::MIME->new(pack("H*", $line));
    say_hex("subject", utf8_of($message->header_str("Subject")));
    walk($message);
    print "end\n";
}
