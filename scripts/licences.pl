#!/usr/bin/perl
# Holds the licences of all crates in the bill of materials against those that deny.toml allows: what cargo-deny does, for
# hosts without it. Needs cargo and perl only; ends with 1 and names what is not allowed.
#
#   scripts/sbom.pl | scripts/licences.pl [DENY_TOML]
use strict;
use warnings;
use JSON::PP;

my $file = shift // "deny.toml";
open my $deny, "<", $file or die "licences.pl: $file: $!\n";
my ($list) = join("", <$deny>) =~ /^\[licenses\].*?^allow\s*=\s*\[(.*?)\]/ms or die "licences.pl: $file: no list of licences\n";
my %allowed = map { $_ => 1 } $list =~ /"([^"]+)"/g;

# An expression of SPDX, in which the licences are replaced by whether they are allowed.
sub is_allowed {
    my ($expression) = @_;
    (my $formula = $expression) =~ s{
        (\(|\)) | \b(OR|AND)\b | ([\w.+-]+(?:\s+WITH\s+[\w.+-]+)?)
    }{
        defined $1 ? $1 : defined $2 ? ($2 eq "OR" ? "||" : "&&") : ($allowed{$3} ? 1 : 0)
    }gex;
    return 0 if $formula !~ /^[01()&|\s]+$/;
    return eval($formula) ? 1 : 0;
}

my $bill = decode_json(join "", <STDIN>);
my @components = grep { $_->{type} eq "library" } @{ $bill->{components} };
die "licences.pl: no crates\n" unless @components;
my $wrong = 0;
for my $component (@components) {
    my $licence = $component->{licenses}[0]{expression} // "";
    next if is_allowed($licence);
    print "$component->{name} $component->{version}: ", $licence || "no licence", " is not allowed by $file\n";
    $wrong = 1;
}
print scalar(@components), " crates, all with a licence that is allowed\n" unless $wrong;
exit $wrong;
