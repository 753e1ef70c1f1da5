# The results as a table for the terminal and as a plot for the documentation.
package Report;

use strict;
use warnings;

use List::Util qw(max min);

sub table
{
	my ($report) = @_;
	my $text = sprintf "%-46s %12s %8s %12s %8s  %s\n", '', '50 a message', '', '1 a message', '', 'goal';
	for my $work (@{$report->{works}})
	{
		$text .= "$work->{title}\n";
		my @forms = @{$work->{forms}};
		for my $row (@{$forms[0]{variants}})
		{
			my %cell;
			for my $form (@forms)
			{
				my ($same) = grep { $_->{name} eq $row->{name} } @{$form->{variants}};
				$cell{$form->{per_message}} = cell($work, $same) if $same;
			}
			$text .= sprintf "  %-44s %21s %21s  %s\n", $row->{title}, $cell{50} // '', $cell{1} // '', verdict($work, $row);
		}
	}
	return $text;
}

sub cell
{
	my ($work, $row) = @_;
	my $more = $row->{at_least} ? '> ' : '';
	return sprintf '%12s %8s', $more . duration($row->{seconds}), $more . value($work, $row->{value});
}

sub duration
{
	my ($seconds) = @_;
	return sprintf '%.1f us', $seconds * 1e6 if $seconds < 1e-3;
	return sprintf '%.2f ms', $seconds * 1e3 if $seconds < 1;
	return sprintf '%.2f s', $seconds;
}

sub value
{
	my ($work, $value) = @_;
	return sprintf $value < 1 ? '%.2f %s' : '%.1f %s', $value, $work->{unit} if $work->{unit} ne 'ratio';
	return sprintf $value < 10 ? '%.2f' : '%.0f', $value;
}

sub verdict
{
	my ($work, $row) = @_;
	return '' unless $row->{judged} && defined $work->{goal};
	return $work->{goal} if $work->{goal} !~ /^[0-9.]+$/;
	my $goal = $work->{unit} eq 'ratio' ? sprintf '%.2f', $work->{goal} : "$work->{goal} $work->{unit}";
	return "<= $goal " . ($row->{value} <= $work->{goal} ? 'met' : 'MISSED');
}

# ---- the plot ----

my ($LEFT, $WIDTH, $BAR, $GAP, $HEAD) = (330, 560, 13, 30, 46);

# Bars of the ratios by the first form of each work, on a logarithmic axis, with a mark where the goal is.
sub svg
{
	my ($report) = @_;
	my @works = grep { $_->{unit} eq 'ratio' } @{$report->{works}};
	my @values = map { $_->{value} } map { @{$_->{forms}[0]{variants}} } @works;
	my ($low, $high) = (log(0.5) / log 10, log(max(10, @values) * 1.3) / log 10);
	$low = min($low, map { log($_) / log 10 } grep { $_ > 0 } @values);
	my $x = sub { $LEFT + $WIDTH * ((log($_[0] > 0 ? $_[0] : 1e-9) / log 10) - $low) / ($high - $low) };
	my ($body, $y) = ('', $HEAD);
	for my $work (@works)
	{
		$body .= text(10, $y + 11, $work->{title}, 'class="w"');
		$y += 18;
		my $top = $y;
		for my $row (@{$work->{forms}[0]{variants}})
		{
			my ($from, $to) = sort { $a <=> $b } $x->(1), $x->($row->{value});
			my $class = $row->{name} eq 'tenancy' || $row->{judged} ? 'o' : $row->{peer} ? 'p' : 'f';
			$body .= text($LEFT - 8, $y + 10, $row->{title}, 'text-anchor="end"');
			$body .= sprintf qq{<rect class="%s" x="%.1f" y="%d" width="%.1f" height="%d"/>\n}, $class, $from, $y, max($to - $from, 1.5), $BAR - 2;
			$body .= text(sprintf('%.1f', $to + 5), $y + 10, ($row->{at_least} ? '> ' : '') . value($work, $row->{value}), '');
			$y += $BAR;
		}
		if (($work->{goal} // '') =~ /^[0-9.]+$/)
		{
			$body .= sprintf qq{<line class="g" x1="%.1f" y1="%d" x2="%.1f" y2="%d"/>\n}, $x->($work->{goal}), $top - 3, $x->($work->{goal}), $y + 1;
		}
		$y += $GAP - 18;
	}
	return svg_frame($body, $y + 10, grid($x, $low, $high, $y));
}

sub grid
{
	my ($x, $low, $high, $bottom) = @_;
	my $text = '';
	for my $power (int($low) - 1 .. int $high)
	{
		next if $power < $low;
		my $at = sprintf '%.1f', $x->(10**$power);
		$text .= qq{<line class="a" x1="$at" y1="$HEAD" x2="$at" y2="$bottom"/>\n} . text($at, $HEAD - 6, '&#215;' . 10**$power, 'text-anchor="middle"');
	}
	return $text;
}

sub text
{
	my ($x, $y, $text, $attributes) = @_;
	$text =~ s/</&lt;/g;
	$text =~ s/>/&gt;/g;
	return qq{<text x="$x" y="$y" $attributes>$text</text>\n};
}

sub svg_frame
{
	my ($body, $height, $grid) = @_;
	my $width = $LEFT + $WIDTH + 70;
	return <<"SVG";
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 $width $height" width="$width" height="$height" font-family="sans-serif" font-size="11">
<style>
.w { font-weight: bold; font-size: 12px } .o { fill: #1a7f37 } .f { fill: #57606a } .p { fill: #d1a15a }
.a { stroke: #d0d7de } .g { stroke: #cf222e; stroke-width: 1.5 }
</style>
<rect width="100%" height="100%" fill="#ffffff"/>
<text x="10" y="16" font-size="13">Time of a statement over the same one without row security (logarithmic; the red mark is the goal)</text>
$grid$body</svg>
SVG
}

1;
