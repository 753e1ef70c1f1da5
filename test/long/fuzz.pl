# The fuzz targets (test/fuzz), side by side, for ten minutes or FUZZ_SECONDS. libFuzzer's last lines show an input that fails, in
# base64: decode it into a file, and give that to the target, which "make fuzz" builds, as its argument.
use strict;
use warnings;

use Test::More;

my $seconds = $ENV{FUZZ_SECONDS} // 600;
my $dir = $ENV{TESTDATADIR};
my @targets = map { m{([^/]+)\.c\z} } glob 'test/fuzz/*_fuzz.c';
my %pid;

is(system('test/fuzz/seeds', $ENV{MINT}, $dir), 0, 'seeds');
for my $target (@targets)
{
	mkdir "$dir/$target.found";
	next if $pid{$target} = fork // die "fork: $!\n";
	open STDOUT, '>', "$dir/$target.log" or die "$dir/$target.log: $!\n";
	open STDERR, '>&', \*STDOUT or die "dup: $!\n";
	exec "test/fuzz/$target", '-dict=test/fuzz/words.dict', "-artifact_prefix=$dir/$target-", "-max_total_time=$seconds", '-timeout=20',
	  '-print_final_stats=1', "$dir/$target.found", "$dir/$target"
	  or die "exec: $!\n";
}
for my $target (@targets)
{
	waitpid $pid{$target}, 0;
	my $status = $?;

	open my $file, '<', "$dir/$target.log" or die "$dir/$target.log: $!\n";
	my @lines = <$file>;
	my ($runs) = map { /^stat::number_of_executed_units:\s*(\d+)/ } @lines;
	ok($status == 0, "$target finds nothing") or diag(@lines[ (@lines > 40 ? -40 : 0) .. -1 ]);
	cmp_ok($runs // 0, '>', 1000, "$target has run");
	note($runs // 0, " runs of $target");
}
done_testing();
