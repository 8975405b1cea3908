#!/usr/bin/perl
# Prints the software bill of materials of program and server library: CycloneDX 1.5, JSON. The same source gives the
# same text. Needs cargo and perl only.
#
#   scripts/sbom.pl [PG_MAJOR]        for which PostgreSQL the library is; default 15
use strict;
use warnings;
use JSON::PP;
use File::Basename;

my $major = shift // 15;
chdir dirname(__FILE__) . "/.." or die "sbom.pl: $!\n";
my $cargo = $ENV{CARGO} // "cargo";
my $target = `rustc -vV` =~ /^host: (.*)$/m ? $1 : die "sbom.pl: rustc does not say its host\n";

my $text = `$cargo metadata --format-version 1 --locked --filter-platform $target --features repmgr-extension/pg$major`;
die "sbom.pl: cargo metadata failed\n" if $?;
my $metadata = decode_json($text);

# Checksums of crates.io.
my %checksum;
{
    open my $lock, "<", "Cargo.lock" or die "sbom.pl: Cargo.lock: $!\n";
    local $/ = "\n\n";
    while (<$lock>) {
        my ($name) = /^name = "(.*)"$/m or next;
        my ($version) = /^version = "(.*)"$/m or next;
        my ($sum) = /^checksum = "(.*)"$/m or next;
        $checksum{"$name $version"} = $sum;
    }
}

my %package = map { $_->{id} => $_ } @{ $metadata->{packages} };
my %node = map { $_->{id} => $_ } @{ $metadata->{resolve}{nodes} };

sub purl { "pkg:cargo/$_[0]{name}\@$_[0]{version}" }

# What is linked in, or takes part in the build; not what only tests need.
sub needed {
    my ($node) = @_;
    return map { $_->{pkg} } grep {
        grep { ($_->{kind} // "normal") ne "dev" } @{ $_->{dep_kinds} }
    } @{ $node->{deps} };
}
my %seen;
my @waiting = @{ $metadata->{workspace_members} };
while (defined(my $id = shift @waiting)) {
    push @waiting, needed($node{$id}) unless $seen{$id}++;
}

my (@components, @dependencies);
for my $id (sort { purl($package{$a}) cmp purl($package{$b}) } keys %seen) {
    my $package = $package{$id};
    (my $license = $package->{license} // "") =~ s{\s*/\s*}{ OR }g;
    my $sum = $checksum{"$package->{name} $package->{version}"};
    my $component = {
        type => $package->{source} ? "library" : "application",
        "bom-ref" => purl($package),
        name => $package->{name},
        version => $package->{version},
        purl => purl($package),
        licenses => [ { expression => $license } ],
    };
    $component->{hashes} = [ { alg => "SHA-256", content => $sum } ] if $sum;
    push @components, $component;
    my %on = map { purl($package{$_}) => 1 } needed($node{$id});
    push @dependencies, { ref => purl($package), dependsOn => [ sort keys %on ] };
}

my ($own) = grep { $_->{name} eq "repmgr" } map { $package{$_} } @{ $metadata->{workspace_members} };
print JSON::PP->new->canonical->pretty->encode({
    bomFormat => "CycloneDX",
    specVersion => "1.5",
    version => 1,
    metadata => {
        component => {
            type => "application",
            "bom-ref" => "repmgr-oxide",
            name => "repmgr-oxide",
            version => $own->{version},
            licenses => [ { expression => $own->{license} } ],
        },
    },
    components => \@components,
    dependencies => \@dependencies,
});
