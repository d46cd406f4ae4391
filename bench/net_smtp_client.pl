#!/usr/bin/env perl
# Sends copies of one message by Net::SMTP: one process and one kept connection each.
#
# Usage:  net_smtp_client.pl --file MESSAGE.eml --port N --messages N --connections C [--ca FILE]
use strict;
use warnings;
use Net::SMTP;

my %o = ('--port' => 2525, '--messages' => 1000, '--connections' => 1, @ARGV);
open my $file, '<:raw', $o{'--file'} or die "net_smtp_client: $o{'--file'}: $!\n";
my $content = do { local $/; <$file> };
my @tls = $o{'--ca'} ? (SSL => 1, SSL_ca_file => $o{'--ca'}) : ();

sub send_all {
    my ($share) = @_;
    my $smtp = Net::SMTP->new('127.0.0.1', Port => $o{'--port'}, Hello => 'client.example', @tls)
        or die "net_smtp_client: $@\n";
    for (1 .. $share) {
        $smtp->mail('sender@example.com') && $smtp->to('recipient@example.com') && $smtp->data($content)
            or die 'net_smtp_client: ' . $smtp->message;
    }
    $smtp->quit;
}

my @processes;
for my $i (1 .. $o{'--connections'} - 1) {
    my $pid = fork // die "net_smtp_client: $!\n";
    if (!$pid) {
        send_all(int(($o{'--messages'} + $i) / $o{'--connections'}));
        exit 0;
    }
    push @processes, $pid;
}
send_all(int($o{'--messages'} / $o{'--connections'}));
my $failed = 0;
for (@processes) {
    waitpid $_, 0;
    $failed = 1 if $?;
}
exit $failed;
