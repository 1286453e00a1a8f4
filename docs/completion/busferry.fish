# fish completion for busferry; made from the tables of the program by: busferry completion fish

function __busferry_ask
	set -l program (commandline -opc)[1]
	$program completion $argv[1] 2>/dev/null
end

# Is this the command; and the operand of that number; behind that first operand?
function __busferry_at -a command nth after
	set -l words (commandline -opc)
	set -e words[1]
	set -q words[1]; and test "$words[1]" = $command; or return 1
	set -q argv[2]; or return 0
	set -e words[1]
	set -l operands
	set -l skip 0
	for word in $words
		if test $skip = 1
			set skip 0
		else if contains -- $command:$word $__busferry_takes
			set skip 1
		else if not string match -q -- '-*' $word
			set -a operands $word
		end
	end
	test (math (count $operands) + 1) = $nth; or return 1
	set -q argv[3]; or return 0
	test "$operands[1]" = $after
end

set -g __busferry_takes run:--config run:-c check:--config check:-c check:--explain init:--config init:-c init:--site init:--broker init:--scan init:--lines init:--addresses init:-a scan:--lines scan:--addresses scan:-a scan:--ask scan:--timeout read:--address read:-a read:--type read:-t read:--count read:-n read:--line read:--words read:--bytes read:--length read:--timeout write:--address write:-a write:--type write:-t write:--line write:--words write:--bytes write:--length write:--function write:--timeout listen:--line listen:--profile listen:--seconds listen:--record watch:--config watch:-c watch:--seconds status:--config status:-c simulate:--config simulate:-c simulate:--folder simulate:--faults simulate:--seed simulate:--seconds buffer:--config buffer:-c buffer:--topic buffer:-t ha:--config ha:-c ha:--prefix profiles:--transport report:--config report:-c report:--output report:-o report:--lines

complete -c busferry -f
complete -c busferry -n __fish_is_first_token -l help -d 'the commands'
complete -c busferry -n __fish_is_first_token -l version -d 'the version'
complete -c busferry -n __fish_is_first_token -a run -d 'the gateway, in the foreground'
complete -c busferry -n __fish_is_first_token -a check -d 'reads the map and prints the plan'
complete -c busferry -n __fish_is_first_token -a init -d 'writes a first map, with comments'
complete -c busferry -n __fish_is_first_token -a ports -d 'the serial ports of this machine, who has them, and what helps'
complete -c busferry -n __fish_is_first_token -a scan -d 'finds the devices on a wire, and says what they may be'
complete -c busferry -n __fish_is_first_token -a read -d 'one-off reads without a map'
complete -c busferry -n __fish_is_first_token -a write -d 'writes one value without a map, and reads it back'
complete -c busferry -n __fish_is_first_token -a listen -d 'what a sensor says on a serial port, and which profiles understand it'
complete -c busferry -n __fish_is_first_token -a watch -d 'what arrives at the broker, as it arrives'
complete -c busferry -n __fish_is_first_token -a status -d 'how the running gateway is: broker, buffer, buses, devices'
complete -c busferry -n __fish_is_first_token -a simulate -d 'plays the devices of a map, for trying it without hardware'
complete -c busferry -n __fish_is_first_token -a buffer -d 'what waits for the broker'
complete -c busferry -n __fish_is_first_token -a ha -d 'what Home Assistant is told of the devices'
complete -c busferry -n __fish_is_first_token -a profiles -d 'the devices that are known, and what is known of them'
complete -c busferry -n __fish_is_first_token -a drivers -d 'the drivers and their keys'
complete -c busferry -n __fish_is_first_token -a report -d 'what somebody who helps wants to know, in one file'
complete -c busferry -n __fish_is_first_token -a completion -d 'what a shell needs to complete these commands'
complete -c busferry -n 'not __fish_is_first_token' -s h -l help -d 'this command'
complete -c busferry -n '__busferry_at run' -s c -l config -r -F -d 'the map (/etc/busferry/busferry.conf)'
complete -c busferry -n '__busferry_at run' -l once -d 'poll everything once, wait for the broker\'s acknowledgement, end'
complete -c busferry -n '__busferry_at run' -l stdout -d 'print "topic payload" lines instead of publishing'
complete -c busferry -n '__busferry_at run' -s v -l verbose -d 'log more'
complete -c busferry -n '__busferry_at check' -s c -l config -r -F -d 'the map (/etc/busferry/busferry.conf)'
complete -c busferry -n '__busferry_at check' -l topics -d 'every topic with QoS, retain and interval'
complete -c busferry -n '__busferry_at check' -l explain -r -f -a '(__busferry_ask keys)' -d 'what a key of the map is: every, metric.scale, broker.inflight'
complete -c busferry -n '__busferry_at check' -l json -d 'one JSON object'
complete -c busferry -n '__busferry_at init' -s c -l config -r -F -d 'the map (/etc/busferry/busferry.conf)'
complete -c busferry -n '__busferry_at init' -l site -r -f -d 'the first part of every topic (home)'
complete -c busferry -n '__busferry_at init' -l broker -r -f -d 'where the readings go (mqtt://localhost)'
complete -c busferry -n '__busferry_at init' -l scan -r -f -a '(__busferry_ask ports)' -d 'look for devices there, and write them down'
complete -c busferry -n '__busferry_at init' -l lines -r -f -d 'of --scan: line settings to try (nine common ones)'
complete -c busferry -n '__busferry_at init' -s a -l addresses -r -f -d 'of --scan: unit addresses to ask (all)'
complete -c busferry -n '__busferry_at init' -l rtu -d 'of --scan: tcp:// is a serial device server, which passes RTU frames on'
complete -c busferry -n '__busferry_at init' -l json -d 'one JSON object with the name of the file; of --scan one a device'
complete -c busferry -n '__busferry_at ports' -l json -d 'one JSON object'
complete -c busferry -n '__busferry_at scan' -l lines -r -f -d 'line settings to try, in this order (nine common ones)'
complete -c busferry -n '__busferry_at scan' -s a -l addresses -r -f -d 'unit addresses to ask (all)'
complete -c busferry -n '__busferry_at scan' -l ask -r -f -a 'holding: input: coil: discrete:' -d 'what to ask for (holding:0); an exception is an answer too'
complete -c busferry -n '__busferry_at scan' -l timeout -r -f -d 'how long a device may think (100ms, on TCP 500ms)'
complete -c busferry -n '__busferry_at scan' -l rtu -d 'tcp:// is a serial device server, which passes RTU frames on'
complete -c busferry -n '__busferry_at scan' -l json -d 'one JSON object a device'
complete -c busferry -n '__busferry_at scan 1' -f -a '(__busferry_ask ports)'
complete -c busferry -n '__busferry_at read' -s a -l address -r -f -d 'unit address (1)'
complete -c busferry -n '__busferry_at read' -s t -l type -r -f -a 'u8 s8 u16 s16 u24 u32 s32 u64 s64 f16 f32 f64 bcd16 bcd32 string bool' -d 'u16, s16, u32, f32, ... (u16)'
complete -c busferry -n '__busferry_at read' -s n -l count -r -f -d 'how many values (1)'
complete -c busferry -n '__busferry_at read' -l line -r -f -d 'settings of a serial port (9600 8N1)'
complete -c busferry -n '__busferry_at read' -l rtu -d 'tcp:// is a serial device server, which passes RTU frames on'
complete -c busferry -n '__busferry_at read' -l words -r -f -a 'big little' -d 'big or little: order of the words of a value (big)'
complete -c busferry -n '__busferry_at read' -l bytes -r -f -a 'big little' -d 'big or little: order of the bytes in a word (big)'
complete -c busferry -n '__busferry_at read' -l orders -d 'every byte order side by side'
complete -c busferry -n '__busferry_at read' -l length -r -f -d 'of a string (16)'
complete -c busferry -n '__busferry_at read' -l timeout -r -f -d 'how long to wait for the answer (1s)'
complete -c busferry -n '__busferry_at read' -l json -d 'one JSON object'
complete -c busferry -n '__busferry_at read 1' -f -a '(__busferry_ask ports)'
complete -c busferry -n '__busferry_at read 2' -f -a 'input: holding: coil: discrete:'
complete -c busferry -n '__busferry_at write' -s a -l address -r -f -d 'unit address (1)'
complete -c busferry -n '__busferry_at write' -s t -l type -r -f -a 'u8 s8 u16 s16 u24 u32 s32 u64 s64 f16 f32 f64 bcd16 bcd32 string bool' -d 'u16, s16, u32, f32, ... (u16)'
complete -c busferry -n '__busferry_at write' -l yes -d 'write it; without, only show it'
complete -c busferry -n '__busferry_at write' -l line -r -f -d 'settings of a serial port (9600 8N1)'
complete -c busferry -n '__busferry_at write' -l rtu -d 'tcp:// is a serial device server, which passes RTU frames on'
complete -c busferry -n '__busferry_at write' -l words -r -f -a 'big little' -d 'big or little: order of the words of a value (big)'
complete -c busferry -n '__busferry_at write' -l bytes -r -f -a 'big little' -d 'big or little: order of the bytes in a word (big)'
complete -c busferry -n '__busferry_at write' -l length -r -f -d 'of a string (16)'
complete -c busferry -n '__busferry_at write' -l function -r -f -d '6 or 16, of coils 5 or 15 (6 and 5; 16 for more than one register)'
complete -c busferry -n '__busferry_at write' -l timeout -r -f -d 'how long to wait for an answer (1s)'
complete -c busferry -n '__busferry_at write' -l json -d 'one JSON object'
complete -c busferry -n '__busferry_at write 1' -f -a '(__busferry_ask ports)'
complete -c busferry -n '__busferry_at write 2' -f -a 'holding: coil:'
complete -c busferry -n '__busferry_at write 3' -f -a 'on off'
complete -c busferry -n '__busferry_at listen' -l line -r -f -d 'settings of the port (those of the profiles in turn)'
complete -c busferry -n '__busferry_at listen' -l profile -r -f -a '(__busferry_ask profiles)' -d 'this profile only, and its requests are sent'
complete -c busferry -n '__busferry_at listen' -l ask -d 'send the requests of all profiles that ask, one after the other'
complete -c busferry -n '__busferry_at listen' -l seconds -r -f -d 'how long (until Ctrl-C; with --ask until all was asked)'
complete -c busferry -n '__busferry_at listen' -l record -r -F -d 'write down what came and was sent, as a text'
complete -c busferry -n '__busferry_at listen' -l json -d 'one JSON object a line'
complete -c busferry -n '__busferry_at listen 1' -f -a '(__busferry_ask ports)'
complete -c busferry -n '__busferry_at listen 1' -F
complete -c busferry -n '__busferry_at watch' -s c -l config -r -F -d 'the map (/etc/busferry/busferry.conf)'
complete -c busferry -n '__busferry_at watch' -l seconds -r -f -d 'end by itself after that time'
complete -c busferry -n '__busferry_at watch' -l json -d 'one JSON object a message'
complete -c busferry -n '__busferry_at status' -s c -l config -r -F -d 'the map (/etc/busferry/busferry.conf)'
complete -c busferry -n '__busferry_at status' -l json -d 'one JSON object'
complete -c busferry -n '__busferry_at simulate' -s c -l config -r -F -d 'the map (/etc/busferry/busferry.conf)'
complete -c busferry -n '__busferry_at simulate' -l folder -r -f -a '(__fish_complete_directories)' -d 'link the ptys of serial buses as DIR/BUS instead of at their own port'
complete -c busferry -n '__busferry_at simulate' -l free-ports -d 'let TCP buses listen on free ports, whatever the map says'
complete -c busferry -n '__busferry_at simulate' -l pace -d 'answer no faster than the line\'s speed allows'
complete -c busferry -n '__busferry_at simulate' -l strict -d 'paced, and deaf to what comes before 3.5 characters of silence or at another speed'
complete -c busferry -n '__busferry_at simulate' -l holes -d 'registers that the map does not use answer with exception 2'
complete -c busferry -n '__busferry_at simulate' -l faults -r -f -a 'late slow lost truncated noisy foreign wrong-unit exception dead echoing unplugged' -d 'what goes wrong: KIND[@DEVICE or @BUS][:SHARE],... (see above)'
complete -c busferry -n '__busferry_at simulate' -l seed -r -f -d 'of the chance in --faults (1)'
complete -c busferry -n '__busferry_at simulate' -l seconds -r -f -d 'end by itself after that time'
complete -c busferry -n '__busferry_at simulate' -l json -d 'one JSON object a line'
complete -c busferry -n '__busferry_at buffer' -s c -l config -r -F -d 'the map (/etc/busferry/busferry.conf)'
complete -c busferry -n '__busferry_at buffer' -s t -l topic -r -f -d 'export, drop: only messages whose topic matches this MQTT filter'
complete -c busferry -n '__busferry_at buffer' -l yes -d 'drop: do it'
complete -c busferry -n '__busferry_at buffer' -l json -d 'one JSON object (export always prints one a line)'
complete -c busferry -n '__busferry_at buffer 1' -f -a 'status export drop'
complete -c busferry -n '__busferry_at ha' -s c -l config -r -F -d 'the map (/etc/busferry/busferry.conf)'
complete -c busferry -n '__busferry_at ha' -l prefix -r -f -d 'the discovery prefix, if not the map\'s'
complete -c busferry -n '__busferry_at ha' -l yes -d 'remove: do it'
complete -c busferry -n '__busferry_at ha' -l json -d 'one JSON object a message'
complete -c busferry -n '__busferry_at ha 1' -f -a 'show remove'
complete -c busferry -n '__busferry_at profiles' -l transport -r -f -a '(__busferry_ask drivers)' -d 'of new: which driver the device needs (modbus)'
complete -c busferry -n '__busferry_at profiles' -l json -d 'one JSON object'
complete -c busferry -n '__busferry_at profiles 1' -f -a 'list show check new'
complete -c busferry -n '__busferry_at profiles 2 show' -f -a '(__busferry_ask profiles)'
complete -c busferry -n '__busferry_at profiles 2 check' -F
complete -c busferry -n '__busferry_at drivers' -l json -d 'one JSON object'
complete -c busferry -n '__busferry_at report' -s c -l config -r -F -d 'the map (/etc/busferry/busferry.conf)'
complete -c busferry -n '__busferry_at report' -s o -l output -r -F -d 'where it goes (busferry-report-DATE.txt)'
complete -c busferry -n '__busferry_at report' -l stdout -d 'print it instead'
complete -c busferry -n '__busferry_at report' -l full -d 'with user names and client ids'
complete -c busferry -n '__busferry_at report' -l lines -r -f -d 'how many lines of the log (500)'
complete -c busferry -n '__busferry_at report' -l json -d 'one JSON object with the name of the file'
complete -c busferry -n '__busferry_at completion 1' -f -a 'bash zsh fish'
